/** Connections to storage, and the grants an agent gets for one job. */
import * as z from "zod";
import { containerName, jobDestination, jobSource } from "./job.ts";

/** The kinds of sources and destinations, as they stand in a job. */
export const SOURCE_KINDS = jobSource.options.map((option) => option.shape.kind.value);
export const DESTINATION_KINDS = jobDestination.options.map((option) => option.shape.kind.value);
export type SourceKind = (typeof SOURCE_KINDS)[number];
export type DestinationKind = (typeof DESTINATION_KINDS)[number];

export const connectionKind = z.enum(["connection_string", "container_sas", "oauth"]);

/** A grant lives at most this long where we sign it ourselves (`docs/spec.md`, G2). */
export const GRANT_MINUTES_MAX = 60;

/**
 * A short-lived credential for one job.
 * Azure Blob: `containerUrl` without a query, and the SAS as a query string without `?`.
 */
export const grant = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("azure_blob"),
    containerUrl: z.url(),
    container: containerName,
    sas: z.string(),
    expiresAt: z.iso.datetime(),
    /** When the agent asks for the next one: half-way to the end. */
    renewAt: z.iso.datetime(),
  }),
]);
export type Grant = z.infer<typeof grant>;
