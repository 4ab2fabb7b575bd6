// Writes the script, the styles and the licences of all that is in them.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "..", "assets");

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { ide: "ide.jsx" },
  outdir: assets,
  bundle: true,
  minify: true,
  metafile: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  legalComments: "none",
  charset: "utf8",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [
    {
      // The fonts of the machine are good enough, and weigh nothing.
      name: "no fonts",
      setup({ onLoad }) {
        onLoad({ filter: /\.css$/ }, ({ path }) => ({
          contents: readFileSync(path, "utf8").replace(/@font-face\s*\{[^}]*\}/g, ""),
          loader: "css",
        }));
      },
    },
  ],
});

const folders = Object.keys(metafile.inputs)
  .map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0])
  .filter(Boolean);
const byText = new Map();
for (const folder of [...new Set(folders)].sort()) {
  const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json")));
  const file = readdirSync(join(here, folder)).find((each) => /^licen[cs]e/i.test(each));
  const text = file ? readFileSync(join(here, folder, file), "utf8") : `Licence: ${license}`;
  const kept = text.replace(/\r\n/g, "\n").replace(/[ \t]+$/gm, "").trim();
  byText.set(kept, [...(byText.get(kept) ?? []), `${name} ${version}`]);
}
const licences = [...byText].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`);
writeFileSync(join(here, "..", "LICENSES.txt"), licences.join(`\n${"-".repeat(79)}\n\n`));
