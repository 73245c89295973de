import { readFileSync, rmSync } from "node:fs";
import { build, context } from "esbuild";

const { widgets, parts } = JSON.parse(readFileSync("package.json"));

const LIMIT = 60 * 1024;
const STATIC = "../widgets/static";

const options = {
  entryPoints: [...widgets, ...parts].map((name) => `src/${name}.ts`),
  outdir: STATIC,
  bundle: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
};

// The stamp vouches for a release bundle: whatever is written here by hand must not pass for one.
rmSync(`${STATIC}/bundle.stamp`, { force: true });

if (process.argv.includes("--watch")) {
  await (await context({ ...options, sourcemap: "inline", logLevel: "info" })).watch();
} else {
  const { metafile } = await build({ ...options, minify: true, metafile: true });
  for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
    console.log(`${file.replace(/^.*\//, "")}  ${(bytes / 1024).toFixed(1)} KB of ${LIMIT / 1024} KB`);
    if (bytes > LIMIT) throw new Error(`${file} is larger than ${LIMIT / 1024} KB`);
  }
}
