/**
 * Preloaded by a process that is to run with a defect (defects.ts): source files are edited while
 * they are loaded. No file is written, and the product does not know about it.
 */
import { readFileSync } from "node:fs";
import { plugin } from "bun";
import { DEFECT_VARIABLE, defectNamed, editedText } from "./defects.ts";

const defect = defectNamed(process.env[DEFECT_VARIABLE] ?? "");
for (const file of new Set(defect.edits.map((edit) => edit.file))) {
  plugin({
    name: `defect in ${file}`,
    setup(build) {
      const filter = new RegExp(`/${file.replaceAll(/[.]/g, "\\.")}$`);
      build.onLoad({ filter }, ({ path }) => {
        return { contents: editedText(defect, file, readFileSync(path, "utf8")), loader: "ts" };
      });
    },
  });
}
