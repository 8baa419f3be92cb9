/**
 * `bun harness/hostile/attackers.ts TARGET NAMES`: a process that runs the named attacks on a
 * target, all at once, until its input ends. Both arguments are JSON. Then it prints the rounds of
 * each attack.
 */
import { ATTACKS, type Target } from "./attacks.ts";

const REST_MS = 10;

async function attack(
  name: string,
  target: Target,
  isOver: () => boolean,
): Promise<[string, number]> {
  const run = ATTACKS[name];
  if (run === undefined) throw new Error(`There is no attack "${name}"`);
  let count = 0;
  while (!isOver()) {
    try {
      count += await run(target, isOver);
    } catch {
      count += 1; // The attack was refused or cut off: it goes on.
      await Bun.sleep(REST_MS);
    }
  }
  return [name, count];
}

async function main([target = "", names = ""]: readonly string[]): Promise<void> {
  let isEnded = false;
  void Bun.stdin.text().then(() => {
    isEnded = true;
  });
  const [to, all] = [JSON.parse(target) as Target, JSON.parse(names) as string[]];
  const rounds = await Promise.all(all.map((name) => attack(name, to, () => isEnded)));
  console.log(JSON.stringify(Object.fromEntries(rounds)));
}

await main(process.argv.slice(2));
process.exit(0);
