import { codecContract } from "../../../harness/contract/codec.ts";
import { findLibrary } from "../../memory/system-library.ts";
import { CODEC } from "../codec.ts";
import { LZ4_LIBRARY, NativeLz4 } from "./lz4.ts";

const found = findLibrary(LZ4_LIBRARY);
if ("path" in found) codecContract(CODEC.LZ4, async () => new NativeLz4(found.path));
