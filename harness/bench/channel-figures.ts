/**
 * The channel alone, compared with a bare Bun TCP loop. The difference to a remote get is the time
 * that the store itself may take.
 */
import type { Bench, Figure } from "./bench.ts";
import { channelBench } from "./channel.ts";

export const channelFigures: Bench = {
  name: "channel",
  about: "Requests and 4 KiB replies between two processes, without any store behind them.",
  async run(): Promise<Figure[]> {
    const result = await channelBench();
    return [
      {
        name: "round trip",
        value: result.channelRoundTripUs,
        unit: "us",
        reference: { name: "bare", value: result.bareRoundTripUs, unit: "us" },
        ratio: result.roundTripRatio,
      },
      {
        name: "replies, 64 in flight",
        value: result.channelPagesPerSecond / 1000,
        unit: "k/s",
        reference: { name: "bare", value: result.barePagesPerSecond / 1000, unit: "k/s" },
        ratio: result.throughputRatio,
      },
    ];
  },
};
