/**
 * An import with `{ type: "file" }` is the path of the file, inside a compiled binary too.
 */
declare module "lz4-wasm/lz4_wasm_bg.wasm" {
  const path: string;
  export default path;
}
