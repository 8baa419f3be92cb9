/** HTTP on Bun's server. Bodies of requests are never read. */
import { RamsterError } from "../core/errors.ts";
import { formatAddress, type TcpAddress } from "./address.ts";
import type { HttpAnswer, HttpListener } from "./http.ts";

/** ServeHttp on Bun. */
export function serveHttp(
  address: TcpAddress,
  answer: (method: string, path: string) => Promise<HttpAnswer>,
): HttpListener {
  const where = `Cannot listen on "${formatAddress(address)}"`;
  try {
    const server = Bun.serve({
      hostname: address.host,
      port: address.port,
      development: false,
      maxRequestBodySize: 0,
      fetch: async (request) => {
        const { status, type, body } = await answer(request.method, new URL(request.url).pathname);
        return new Response(body, { status, headers: { "content-type": type } });
      },
    });
    const port = server.port ?? address.port;
    return {
      address: formatAddress({ ...address, port }),
      close: () => server.stop(true),
    };
  } catch (error) {
    const options = { cause: error };
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code !== "EADDRINUSE")
      throw new RamsterError("CANNOT_LISTEN", `${where}: ${code}`, options);
    throw new RamsterError("ADDRESS_IN_USE", `${where}: the address is in use`, options);
  }
}
