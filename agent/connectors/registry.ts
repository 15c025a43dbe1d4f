/** Which connector serves which kind. A kind of the schema that is missing here does not compile. */
import type { DestinationKind, SourceKind } from "../../schema/connector.ts";
import type { JobConfig } from "../../schema/job.ts";
import type { Platform } from "../platform.ts";
import { AzureBlobDestination } from "./azure-blob.ts";
import type { Destination, GrantProvider, Source } from "./connector.ts";
import { LocalSource } from "./local.ts";

type SourceConfig<Kind extends SourceKind> = Extract<JobConfig["source"], { kind: Kind }>;
type DestinationConfig<Kind extends DestinationKind> = Extract<JobConfig["destination"], { kind: Kind }>;

const SOURCES: { readonly [Kind in SourceKind]: (config: SourceConfig<Kind>, platform: Platform) => Source } =
  {
    local: (config, platform) => new LocalSource(config.path, platform),
  };

const DESTINATIONS: {
  readonly [Kind in DestinationKind]: (
    config: DestinationConfig<Kind>,
    grants: GrantProvider,
    platform: Platform,
  ) => Destination;
} = {
  azure_blob: (config, grants, platform) => new AzureBlobDestination(config, grants, platform),
};

export function openSource(config: JobConfig["source"], platform: Platform): Source {
  return SOURCES[config.kind](config, platform);
}

export function openDestination(
  config: JobConfig["destination"],
  grants: GrantProvider,
  platform: Platform,
): Destination {
  return DESTINATIONS[config.kind](config, grants, platform);
}

/** What a container holds, asked for by the names that a manifest has, instead of by the paths of a job. */
export function openContainer(grants: GrantProvider, platform: Platform): Pick<Destination, "find" | "read"> {
  return new AzureBlobDestination({ prefix: "" }, grants, platform, (name) => ({
    kind: "named",
    name,
    mapped: false,
  }));
}
