import { codecContract } from "../../harness/contract/codec.ts";
import { openMemory } from "../memory/open-memory.ts";
import { CODEC } from "./codec.ts";
import { Raw } from "./raw.ts";

codecContract(CODEC.RAW, async () => new Raw(openMemory()));
