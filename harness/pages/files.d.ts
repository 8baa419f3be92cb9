/**
 * A file that is imported with `{ type: "file" }`. The module is the path of the file, also inside
 * a compiled binary.
 */
declare module "*.bin" {
  const path: string;
  export default path;
}
