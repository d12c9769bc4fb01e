// Bundles each component's modules into assets/components/built, which is committed: whoever only runs the lab needs no node.
// Beside the bundles stands what they were made from, so that a test without node can say which one is older than its sources.
// With --check nothing is written: it fails where the committed files are not what would be made.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { build, version } from "esbuild";

const COMPONENTS = join(import.meta.dirname, "assets", "components"), BUILT = join(COMPONENTS, "built");
const NAMES = ["be_router", "connection", "course_progress", "gate_map", "glossary", "mixture", "picture", "remember", "routing", "scrubber", "step_strip", "word_map"];

const hash = (content) => createHash("sha256").update(content).digest("hex");
const hashOf = async (path) => hash(await readFile(path));

// One ES module with a default export, as Streamlit and loader.js import it; stylesheets that a module imports are texts in it.
async function bundle(name) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(COMPONENTS, name, "view.js")],
    absWorkingDir: COMPONENTS,
    bundle: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    minify: true,
    legalComments: "none",
    loader: { ".css": "text" },
    metafile: true,
    write: false,
    outdir: BUILT,
    // Its own line, too, because Streamlit takes a script of one line for the path of one.
    banner: { js: `// Made by bundles.js of assets/components/${name}, not by hand.` },
  });
  const sources = Object.keys(metafile.inputs).sort();
  const hashes = await Promise.all(sources.map((path) => hashOf(join(COMPONENTS, path))));
  return { text: outputFiles[0].text, sources: Object.fromEntries(sources.map((path, i) => [path, hashes[i]])) };
}

const files = new Map(), bundles = {};
for (const name of NAMES) {
  const { text, sources } = await bundle(name);
  files.set(`${name}.js`, text);
  bundles[name] = { sha256: hash(text), sources };
}
const builder = { esbuild: version, [basename(import.meta.filename)]: await hashOf(import.meta.filename) };
files.set("sources.json", `${JSON.stringify({ builder, bundles }, null, 2)}\n`);

if (process.argv.includes("--check")) {
  const there = new Set(await readdir(BUILT)), wrong = [...there].filter((name) => !files.has(name));
  for (const [name, text] of files) {
    if (!there.has(name) || (await readFile(join(BUILT, name), "utf8")) !== text) wrong.push(name);
  }
  if (wrong.length) {
    console.error(`assets/components/built is not what its sources make: ${wrong.sort().join(", ")}. Run "make bundles" and commit.`);
    process.exitCode = 1;
  }
} else {
  await rm(BUILT, { recursive: true, force: true });
  await mkdir(BUILT);
  for (const [name, text] of files) await writeFile(join(BUILT, name), text);
}
