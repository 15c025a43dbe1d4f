/** The routes of the Hub Bar, sent by `api.ts`. Apart from it because the first view can be shown without them. */
import type { Agent, Client, Job, Page, Project } from "../schema/api.ts";
import type { Notifications } from "../schema/notifications.ts";
import { type Api, withQuery } from "./api.ts";

export interface FindQuery {
  readonly search: string;
  readonly limit: number;
}

export type HomeApi = ReturnType<typeof createHomeApi>;

export function createHomeApi({ requests: { read } }: Api) {
  // What moved last is what is most likely looked for.
  const find = <Item>(path: string, query: FindQuery, signal: AbortSignal) =>
    read<Page<Item>>(withQuery(path, { ...query, sort: "activity" }), signal);
  return {
    find: {
      clients: (query: FindQuery, signal: AbortSignal) => find<Client>("/api/clients", query, signal),
      projects: (query: FindQuery, signal: AbortSignal) => find<Project>("/api/projects", query, signal),
      jobs: (query: FindQuery, signal: AbortSignal) => find<Job>("/api/jobs", query, signal),
      agents: (query: FindQuery, signal: AbortSignal) => find<Agent>("/api/agents", query, signal),
    },
    notifications: (signal: AbortSignal) => read<Notifications>("/api/notifications", signal),
  };
}
