const WIDTH = 480;
const HEIGHT = 56;
/** The line begins at the right and fills the width within so many speeds; from then on it is drawn closer. */
const SLOTS_MIN = 20;

/** The last speeds as a line; a picture of what the figures beside it say, so hidden from screen readers. */
export function SpeedCurve({ speeds }: { speeds: readonly number[] }) {
  if (speeds.length < 2) return null;
  const top = Math.max(...speeds, 1) * 1.1;
  const step = WIDTH / (Math.max(SLOTS_MIN, speeds.length) - 1);
  const start = WIDTH - step * (speeds.length - 1);
  const points = speeds.map(
    (speed, index) => `${(start + index * step).toFixed(1)},${(HEIGHT - (speed / top) * HEIGHT).toFixed(1)}`,
  );
  return (
    <svg class="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polygon
        class="curve-area"
        points={`${start.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`}
      />
      <polyline class="curve-line" points={points.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
