/** Charts of the history: pages a second, and how long requests took. */
import uPlot from "uplot";
import type { HistoryRows } from "../../monitoring/history.ts";
import { HISTORY_COLUMNS, type HistoryColumn, type RingName } from "../../monitoring/history.ts";
import { shortCount, shortTime } from "../../monitoring/short-numbers.ts";
import { byId, html } from "./dom.ts";

interface Series {
  readonly column: HistoryColumn;
  readonly title: string;
  readonly colour: string;
  readonly isDashed?: boolean;
}

interface Spec {
  readonly title: string;
  readonly isLogarithmic?: boolean;
  readonly series: readonly Series[];
  format(value: number): string;
}

const SPECS: readonly Spec[] = [
  {
    title: "Pages a second",
    format: shortCount,
    series: [
      { column: "put", title: "put", colour: "--own" },
      { column: "got", title: "got", colour: "--ours" },
      { column: "remotified", title: "remotified", colour: "--foreign" },
      { column: "fetched", title: "fetched", colour: "--violet" },
    ],
  },
  {
    title: "Time of requests",
    isLogarithmic: true,
    format: shortTime,
    series: [
      { column: "put_p50_us", title: "put p50", colour: "--own" },
      { column: "put_p99_us", title: "put p99", colour: "--own", isDashed: true },
      { column: "get_p50_us", title: "get p50", colour: "--ours" },
      { column: "get_p99_us", title: "get p99", colour: "--ours", isDashed: true },
    ],
  },
];

const RANGES = [
  { ring: "minutes", title: "10 minutes", rows: 300 },
  { ring: "day", title: "1 day", rows: 720 },
] as const;

const HEIGHT = 200;
const WIDTH_MIN = 200;

/** Columns of numbers, the first one the time in seconds. */
type Data = Array<Array<number | null>>;

export class Charts {
  private readonly data: Record<RingName, Data> = { minutes: emptyData(), day: emptyData() };
  private ring: RingName = "minutes";
  private charts: Array<{ spec: Spec; plot: uPlot; box: HTMLElement }> = [];

  constructor() {
    this.showRanges();
    this.build();
    new ResizeObserver(() => this.resize()).observe(byId("charts"));
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.build());
  }

  /** The node tells all that it keeps once more. */
  clear(): void {
    this.data.minutes = emptyData();
    this.data.day = emptyData();
  }

  add(ring: RingName, { rows }: HistoryRows): void {
    const data = this.data[ring];
    const nowS = Date.now() / 1000;
    for (const [ageMs, ...values] of rows) {
      for (const [i, value] of [nowS - (ageMs ?? 0) / 1000, ...values].entries()) {
        data[i]?.push(value ?? null);
      }
    }
    const most = RANGES.find((it) => it.ring === ring)?.rows ?? 0;
    for (const column of data) column.splice(0, Math.max(0, column.length - most));
    if (rows.length > 0 && ring === this.ring) this.draw();
  }

  private draw(): void {
    for (const { spec, plot, box } of this.charts) {
      plot.setData(this.dataOf(spec));
      // Without a pointer on the chart the legend has the latest values.
      const last = (this.data[this.ring][0]?.length ?? 0) - 1;
      if (last >= 0 && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: last }, false);
      box.setAttribute("aria-label", this.labelOf(spec));
    }
  }

  private dataOf({ series }: Spec): uPlot.AlignedData {
    const data = this.data[this.ring];
    const columns = series.map(({ column }) => data[HISTORY_COLUMNS.indexOf(column)] ?? []);
    return [data[0] ?? [], ...columns] as uPlot.AlignedData;
  }

  /** The latest values, for who cannot see the chart. */
  private labelOf({ title, series, format }: Spec): string {
    const values = series.map(({ column, title: name }) => {
      const value = this.data[this.ring][HISTORY_COLUMNS.indexOf(column)]?.at(-1) ?? null;
      return `${name} ${value === null ? "none" : format(value)}`;
    });
    return `${title}, now: ${values.join(", ")}`;
  }

  private showRanges(): void {
    const group = byId("range");
    const buttons = RANGES.map(({ ring, title }) => {
      const button = html("button", { type: "button", role: "radio" }, [title]);
      button.addEventListener("click", () => choose(ring));
      return { ring, button };
    });
    const choose = (ring: RingName): void => {
      this.ring = ring;
      for (const { ring: of, button } of buttons) {
        button.setAttribute("aria-checked", String(of === ring));
        button.tabIndex = of === ring ? 0 : -1;
      }
      if (this.charts.length > 0) this.draw();
    };
    // The arrow keys choose, as the pattern of radio groups demands (WAI-ARIA Authoring Practices).
    group.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
      event.preventDefault();
      const other = buttons.find(({ ring }) => ring !== this.ring);
      if (other === undefined) return;
      choose(other.ring);
      other.button.focus();
    });
    group.replaceChildren(...buttons.map(({ button }) => button));
    choose(this.ring);
  }

  private build(): void {
    for (const { plot } of this.charts) plot.destroy();
    const container = byId("charts");
    container.replaceChildren();
    this.charts = SPECS.map((spec) => {
      const box = html("div", { class: "chart", role: "img" });
      container.append(html("div", { class: "chart" }, [html("h3", {}, [spec.title]), box]));
      const plot = new uPlot(optionsOf(spec, box.clientWidth), this.dataOf(spec), box);
      return { spec, plot, box };
    });
    this.draw();
  }

  private resize(): void {
    for (const { plot, box } of this.charts) {
      const width = Math.max(WIDTH_MIN, box.clientWidth);
      if (plot.width !== width) plot.setSize({ width, height: HEIGHT });
    }
  }
}

function emptyData(): Data {
  return HISTORY_COLUMNS.map(() => []);
}

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function optionsOf({ series, isLogarithmic, format }: Spec, width: number): uPlot.Options {
  const line = { stroke: colourOf("--faint"), grid: { stroke: colourOf("--line"), width: 1 } };
  const valueText = (_: unknown, value: number | null): string => {
    return value === null ? "-" : format(value);
  };
  return {
    width: Math.max(WIDTH_MIN, width),
    height: HEIGHT,
    // Zooming would hide what is new.
    cursor: { drag: { x: false, y: false } },
    scales: { y: isLogarithmic ? { distr: 3 } : { range: (_, __, max) => [0, Math.max(1, max)] } },
    axes: [
      { ...line, ticks: { show: false } },
      {
        ...line,
        size: 56,
        ticks: { show: false },
        values: (_, splits) => splits.map((it) => (it === null ? "" : format(it))),
      },
    ],
    series: [
      { value: (_, value) => (value === null ? "-" : new Date(value * 1000).toLocaleTimeString()) },
      ...series.map(({ title, colour, isDashed }) => ({
        label: title,
        stroke: colourOf(colour),
        width: 1.5,
        ...(isDashed ? { dash: [5, 4] } : {}),
        points: { show: false },
        value: valueText,
      })),
    ],
  };
}
