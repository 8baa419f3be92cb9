import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { Log } from "../core/log.ts";
import { CertificateWatch } from "./certificate-watch.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const END = Date.UTC(2026, 5, 1);

/** A watch this many days before the certificate expires, and the lines that it logged. */
function watchAt(days: number) {
  const clock = new SimClock();
  const startMs = END - days * DAY_MS - clock.now();
  const lines: string[] = [];
  const log = new Log((level, _area, line) => void lines.push(`${level} ${line}`));
  let endMs = END;
  const watch = new CertificateWatch(
    { clock, log },
    {
      path: "/cluster.key",
      endMs: () => endMs,
      nowMs: () => startMs + clock.now(),
      reload: () => {
        const isChanged = endMs === END;
        endMs = END + 365 * DAY_MS;
        return isChanged;
      },
    },
  );
  watch.start();
  const run = (runDays: number): void => clock.run(clock.now() + runDays * DAY_MS);
  return { watch, lines, run };
}

describe("the end of the certificate", () => {
  test("is logged once a day in the last 30 days, and at the start", () => {
    const { lines, run, watch } = watchAt(31.5);
    expect([watch.daysLeft, lines]).toEqual([31, []]);
    run(2.1);
    expect(lines).toEqual([
      expect.stringMatching(/^warn .* ends on 2026-06-01T00:00:00.000Z, in 29 days; renew it/),
    ]);
    run(3);
    expect(lines.length).toBe(4);
    expect(watchAt(0.5).lines).toEqual([expect.stringContaining("in less than a day")]);
    watch.stop();
  });

  test("is an error when it comes, not a day later", () => {
    const { lines, run, watch } = watchAt(1.5);
    run(1.5);
    expect([watch.daysLeft, lines.at(-1)]).toEqual([
      -1,
      expect.stringMatching(/^error .* expired on .*: no link can be made/),
    ]);
    watch.stop();
  });

  test("moves when the key file is read again", () => {
    const { lines, run, watch } = watchAt(2);
    watch.reload();
    const end = "2027-06-01T00:00:00.000Z";
    expect([watch.daysLeft, watch.end]).toEqual([367, end]);
    expect(watch.report).toEqual({ file: "/cluster.key", changed: true, valid_until: end });
    const what = 'read the key file "/cluster.key": its certificates';
    expect(lines.at(-1)).toBe(`info ${what} have changed, valid until ${end}`);
    watch.reload();
    expect(watch.report).toEqual({ file: "/cluster.key", changed: false, valid_until: end });
    expect(lines.at(-1)).toBe(`info ${what} are the same as before, valid until ${end}`);
    const { length } = lines;
    run(10);
    expect(lines.length).toBe(length);
    watch.stop();
  });
});
