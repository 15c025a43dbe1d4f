/**
 * Speeds over time as a line with axes, and the limit as a dashed one: a thin shell around uPlot, at the width there is and in
 * the colours of the style sheet. What it shows is said in words by whoever uses it.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatCount, formatMoment, formatSpeed } from "../format.ts";
import type { SpeedSample } from "../models/job-speed.ts";

const HEIGHT = 172;
/** The line begins at the right and fills the width within this time; from then on it is drawn closer. */
const SPAN_SECONDS_MIN = 60;
const MINUTE = 60;
const TIMES_APART = [1, 2, 3, 5, 10, 15, 30].map((minutes) => minutes * MINUTE);
const MEGABITS_PER_BYTE = 8 / 1e6;
/** A limit far above the line would press the line to the ground. */
const LIMIT_ABOVE_MAX = 4;

export function SpeedChart({ samples }: { samples: readonly SpeedSample[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const newest = useRef(samples);
  const [pointed, setPointed] = useState<number | null>(null);
  newest.current = samples;

  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const draw = () => {
      chart.current?.destroy();
      chart.current = new uPlot(optionsOf(element, setPointed), dataOf(newest.current), element);
    };
    draw();
    const observer = new ResizeObserver(() =>
      chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    // A canvas keeps the colours it was painted with.
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      theme.removeEventListener("change", draw);
      observer.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.setData(dataOf(samples)), [samples]);

  const told = pointed === null ? undefined : samples[pointed];
  return (
    <div class="speed-frame" ref={frame}>
      {told !== undefined && told.bytesPerSecond !== null && (
        <span class="speed-told numbers">
          {formatMoment(told.atMs, told.atMs)} · {formatSpeed(told.bytesPerSecond)}
        </span>
      )}
    </div>
  );
}

function dataOf(samples: readonly SpeedSample[]): uPlot.AlignedData {
  const fastest = fastestOf(samples);
  return [
    samples.map(({ atMs }) => atMs / 1_000),
    samples.map(({ bytesPerSecond }) =>
      bytesPerSecond === null ? null : bytesPerSecond * MEGABITS_PER_BYTE,
    ),
    samples.map(({ limitMegabits }) =>
      limitMegabits !== null && limitMegabits <= fastest * LIMIT_ABOVE_MAX ? limitMegabits : null,
    ),
  ];
}

function fastestOf(samples: readonly SpeedSample[]): number {
  return Math.max(0.1, ...samples.map(({ bytesPerSecond }) => (bytesPerSecond ?? 0) * MEGABITS_PER_BYTE));
}

function optionsOf(element: HTMLElement, point: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (token: string) => style.getPropertyValue(token).trim();
  const axis = {
    stroke: colour("--muted"),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    // Half a time stands beyond the end of the line.
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { range: (_chart, first, last) => [Math.min(first, last - SPAN_SECONDS_MIN), last] },
      y: { range: (_chart, _lowest, highest) => [0, roundTop(highest)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: 64,
        incrs: TIMES_APART,
        values: (_chart, seconds) => seconds.map((at) => formatMoment(at * 1_000, at * 1_000)),
      },
      {
        ...axis,
        size: 46,
        space: 34,
        values: (_chart, levels) => levels.map((level) => levelText(level, levels[1] ?? 1)),
      },
    ],
    series: [
      {},
      { stroke: colour("--accent"), fill: colour("--accent-soft"), width: 1.75, points: { show: false } },
      {
        stroke: colour("--warning"),
        width: 1.5,
        dash: [6, 4],
        points: { show: false },
        ...limitPaths(),
      },
    ],
    hooks: { setCursor: [({ cursor }) => point(cursor.idx ?? null)] },
  };
}

/** In steps: a limit holds until another does. */
function limitPaths(): Pick<uPlot.Series, "paths"> {
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  return stepped === undefined ? {} : { paths: stepped };
}

/** A little room above the highest, up to a round number. */
function roundTop(highest: number): number {
  const wanted = Math.max(0.1, highest) * 1.1;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const round = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= wanted) ?? 10;
  return round * power;
}

function levelText(level: number, step: number): string {
  if (step >= 1) return formatCount(level);
  return level.toFixed(step >= 0.1 ? 1 : 2);
}
