/**
 * Starts a Worker of the runtime. Neither its failure nor its end harms the process, and it keeps
 * no process from ending.
 */
import type { ToWorker } from "./messages.ts";

export interface WorkerEvents {
  onMessage(message: unknown): void;
  /** The Worker has failed, or has ended. */
  onEnd(reason: string): void;
}

export interface StartedWorker {
  post(message: ToWorker): void;
  /** Ends it. One in the middle of a call of a library ends after that call. */
  terminate(): void;
}

export type StartWorker = (events: WorkerEvents) => StartedWorker;

/** `path` is absolute: a file, or inside the compiled program. */
export function workerStarter(path: string): StartWorker {
  return ({ onMessage, onEnd }) => {
    const worker = new Worker(path, { smol: true });
    worker.unref();
    worker.onmessage = ({ data }) => onMessage(data);
    worker.onmessageerror = () => onEnd("it sent a message that cannot be read");
    worker.onerror = (event) => {
      event.preventDefault();
      onEnd(reasonOf(event.message));
    };
    worker.addEventListener("close", ({ code }) => onEnd(`it ended with code ${code}`));
    return {
      post: (message) => worker.postMessage(message),
      terminate: () => worker.terminate(),
    };
  };
}

/** The runtime puts lines of the program in front of the message. */
function reasonOf(text: string): string {
  const lines = text.split("\n");
  const line = lines.find((it) => /^\w*error: /i.test(it)) ?? lines[0] ?? "";
  return line.replace(/^error: /, "");
}
