// What ESLint checks: its recommended rules, nothing unused, no loose comparison, no variable that never varies.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: [".venv/**", "node_modules/**", "assets/components/built/**"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-unused-vars": "error",
      eqeqeq: "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "no-var": "error",
      "no-control-regex": "off", // the views show control characters as signs
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "outerHTML" }, { object: "Math", property: "random" }],
    },
  },
  { files: ["assets/**/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["assets/history.js", "assets/first_picture/*.js"], languageOptions: { sourceType: "script" } },
  { files: ["*.js", "tests/js/**/*.js"], languageOptions: { globals: globals.node } },
];
