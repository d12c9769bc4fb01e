// Keeps the ids of this browser's runs in one cookie: a page has it at once when it opens, before any script has run.
const NAME = "moe_viz_runs", YEAR_S = 31536000;

export default function ({ data }) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(NAME + "="));
  const before = (found ? found.slice(NAME.length + 1) : "").split(".").filter(Boolean);
  const bare = (entry) => entry.replace(/^[!~]/, "");
  const gone = new Set([...data.drop, ...data.add].map(bare));
  const after = [...data.add, ...before.filter((entry) => !gone.has(bare(entry)))].slice(0, data.most);
  if (after.join(".") === before.join(".")) return;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${NAME}=${after.join(".")}; path=/; max-age=${YEAR_S}; samesite=strict${secure}`;
}
