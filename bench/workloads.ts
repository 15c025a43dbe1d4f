/** What is measured: the files, where they go and what is asked of the candidates. Names are those of `--only`. */
import type { SourceShape } from "./source-files.ts";
import type { TargetKind } from "./sink.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Added to each request of the far sink, and the streams that make up for it. */
export const DELAY_MS = 30;
const STREAMS_FAR = 32;

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly shape: SourceShape;
  readonly target: TargetKind;
  /** `again`: a second run with nothing changed. `scan`: nothing is sent. */
  readonly act: "upload" | "again" | "scan";
  /** Parallel transfers; null = each candidate's default. */
  readonly streams: number | null;
  /** What the rate is told in. */
  readonly rate: "bytes" | "files" | "file cost";
}

export function listWorkloads(options: { readonly size: "full" | "quick" | "long" }): readonly Workload[] {
  const isQuick = options.size === "quick";
  const pick = (full: number, quick: number) => (isQuick ? quick : full);
  const oneFile = { files: 1, folders: 1, sizeBytes: pick(4_096, 256) * MIB };
  const medium = { files: pick(200, 20), folders: 1, sizeBytes: 20 * MIB };
  const small = { files: pick(50_000, 2_000), folders: pick(500, 20), sizeBytes: 4 * KIB };
  const far = { files: pick(2_500, 500), folders: 25, sizeBytes: 4 * KIB };
  const many = { files: pick(500_000, 20_000), folders: pick(5_000, 200), sizeBytes: 0 };
  const upload = { target: "sink", act: "upload", streams: null } as const;
  const tls = { ...upload, target: "sink-tls" } as const;
  const azurite = { ...upload, target: "azurite" } as const;
  const curve = [
    1_000,
    10_000,
    ...(isQuick ? [] : [100_000]),
    ...(options.size === "long" ? [1_000_000] : []),
  ];
  return [
    { name: "one-file", title: describe(oneFile), shape: oneFile, ...upload, rate: "bytes" },
    { name: "medium", title: describe(medium), shape: medium, ...upload, rate: "bytes" },
    { name: "small", title: describe(small), shape: small, ...upload, rate: "files" },
    {
      name: "latency",
      title: `${describe(far)}, ${DELAY_MS} ms added to each request, ${STREAMS_FAR} streams where they can be set`,
      shape: far,
      target: "sink-delayed",
      act: "upload",
      streams: STREAMS_FAR,
      rate: "files",
    },
    { name: "tls-one-file", title: `${describe(oneFile)}, over TLS`, shape: oneFile, ...tls, rate: "bytes" },
    { name: "tls-medium", title: `${describe(medium)}, over TLS`, shape: medium, ...tls, rate: "bytes" },
    { name: "tls-small", title: `${describe(small)}, over TLS`, shape: small, ...tls, rate: "files" },
    {
      name: "again",
      title: `second run with nothing changed, ${describe(small)}`,
      shape: small,
      target: "sink",
      act: "again",
      streams: null,
      rate: "files",
    },
    {
      name: "scan",
      title: `scan of ${describe(many)}`,
      shape: many,
      target: "sink",
      act: "scan",
      streams: null,
      rate: "files",
    },
    ...[
      { files: 1, folders: 1, sizeBytes: pick(1_024, 128) * MIB },
      { files: pick(5_000, 500), folders: 50, sizeBytes: 4 * KIB },
    ].map((shape): Workload => ({
      name: shape.files === 1 ? "azurite-one-file" : "azurite-small",
      title: `${describe(shape)}, to Azurite`,
      shape,
      ...azurite,
      rate: shape.files === 1 ? "bytes" : "files",
    })),
    ...curve.map((files): Workload => {
      const shape = { files, folders: files / 100, sizeBytes: KIB };
      return { name: `curve-${files}`, title: describe(shape), shape, ...upload, rate: "file cost" };
    }),
  ];
}

function describe({ files, folders, sizeBytes }: SourceShape): string {
  const [unit, unitBytes] = sizeBytes >= GIB ? ["GiB", GIB] : sizeBytes >= MIB ? ["MiB", MIB] : ["KiB", KIB];
  const size = `${sizeBytes / unitBytes} ${unit}`;
  if (files === 1) return `one file of ${size}`;
  const what = sizeBytes === 0 ? "empty files" : `files of ${size}`;
  return `${files.toLocaleString("en")} ${what}${folders === 1 ? "" : ` in ${folders.toLocaleString("en")} folders`}`;
}
