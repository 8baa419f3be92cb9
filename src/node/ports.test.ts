import { expect, test } from "bun:test";
import { parseAddress, type TcpAddress } from "../net/address.ts";
import { BunTransport } from "../net/bun.ts";
import { checkPorts, openGossipPort, openPorts } from "./ports.ts";

const HERE: TcpAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };

async function failureOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  return work.then(
    () => ({ code: "", message: "" }),
    ({ code, message }) => ({ code, message }),
  );
}

test("the error of a port names the option and its value", async () => {
  const transport = new BunTransport();
  const listener = await transport.listen(HERE, () => null);
  const taken = parseAddress(listener.address) as TcpAddress;
  const ports = { listen: HERE, gossip: HERE, http: null, clients: [], nbd: [] };
  await checkPorts(transport, ports);
  expect(await failureOf(checkPorts(transport, { ...ports, nbd: [HERE, taken] }))).toEqual({
    code: "ADDRESS_IN_USE",
    message: `Cannot use --nbd "${listener.address}": the address is in use`,
  });
  expect(await failureOf(checkPorts(transport, { ...ports, gossip: taken }))).toEqual({
    code: "ADDRESS_IN_USE",
    message:
      `Cannot use --gossip "${listener.address}": the address is in use: ` +
      `use another one, as in --gossip 127.0.0.1:${taken.port + 1}`,
  });
  listener.close();
  await checkPorts(transport, { ...ports, nbd: [taken], gossip: taken });
});

test("the address of gossip that follows from --listen is explained", async () => {
  const nowhere: TcpAddress = { kind: "tcp", host: "192.0.2.1", port: 7777 };
  const gossip = { ...nowhere, port: 7946 };
  const open = (): Promise<unknown> => new BunTransport().listen(gossip, () => null);
  expect(await failureOf(openGossipPort(gossip, nowhere, open))).toEqual({
    code: "CANNOT_LISTEN",
    message: 'Cannot use --listen "192.0.2.1:7777": not an address of this machine',
  });
});

test("other errors stay as they are", async () => {
  const bug = (): Promise<string> => Promise.reject(new TypeError("a bug"));
  await expect(openPorts("http", [HERE], bug)).rejects.toThrow(new TypeError("a bug"));
});
