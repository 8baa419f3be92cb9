/** `ramster server`: a node that keeps nothing of its own and lends its memory. */
export { run } from "./node.ts";
