import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKey } from "../security/make-key.ts";
import { renewKey } from "../security/renew-key.ts";
import { writePemFiles } from "./pem-files.ts";

const FILES = ["ca-cert.pem", "client-cert.pem", "client-key.pem"];

test("writePemFiles() writes what the key shows, also in the middle of a renewal", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ramster-pem-"));
  try {
    const fresh = () => makeKey({ nowMs: Date.now(), days: 30 });
    const key = await fresh();
    const both = await renewKey(key, "add", fresh);
    for (const { tls } of [key, both]) {
      expect(writePemFiles(join(folder, "pki"), tls)).toEqual(FILES);
      expect(readdirSync(join(folder, "pki")).sort()).toEqual(FILES);
      const [authority = "", certificate = "", secret = ""] = FILES.map((name) => {
        expect(statSync(join(folder, "pki", name)).mode & 0o777).toBe(0o600);
        return readFileSync(join(folder, "pki", name), "utf8");
      });
      expect(new X509Certificate(certificate).ca).toBe(false);
      expect(authority).toBe(`${tls.authority.trim()}\n`);
      expect(secret).toBe(`${tls.key.trim()}\n`);
    }
    expect(() => writePemFiles(join(folder, "pki/ca-cert.pem"), key.tls)).toThrow("--pem");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
