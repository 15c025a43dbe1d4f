/** Medians and percentiles of single measurements, as benchmarks print them. */
export function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function figures(values: readonly number[], unit: string): string {
  const of = (share: number) => at(values, share).toFixed(1);
  return `p50 ${of(0.5)} ${unit}, p99 ${of(0.99)} ${unit}, worst ${of(1)} ${unit} (${values.length})`;
}
