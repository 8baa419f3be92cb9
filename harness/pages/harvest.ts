/**
 * `bun run corpora [FOLDER]`: harvests the corpora that are not in the folder yet (corpora.ts), and
 * says what is in it.
 */
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { CORPORA_FOLDER, loadCorpora } from "./corpora.ts";

const folder = process.argv[2] ?? CORPORA_FOLDER;
const corpora = await loadCorpora(folder, (line) => console.log(line));
for (const { name, pages } of corpora) console.log(`${name} ${pages.length / PAGE_BYTES}`);
console.log(`in ${folder}`);
