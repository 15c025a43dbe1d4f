/**
 * What somebody's sign-in sees in Azure Resource Manager: subscriptions, storage accounts, containers, page by page.
 * Source: Azure REST reference, "Subscriptions - List", "Storage Accounts - List", "Blob Containers - List".
 *
 * A cursor is the query of Microsoft's `nextLink`. The link's host and path must be those of the list, so neither
 * Microsoft's answer nor whoever sends a cursor decides where the token goes.
 */
import * as z from "zod";
import type { AzureAccount, AzureSubscription } from "../../schema/azure.ts";
import { askMicrosoft, type Microsoft } from "./microsoft.ts";

export interface Arm {
  readonly microsoft: Microsoft;
  readonly accessToken: string;
}

export interface ArmPage<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

/** `denied`: the person may not see this; `missing`: it is not there; `other`: Microsoft says something unexpected. */
export class ArmRefusal extends Error {
  override readonly name = "ArmRefusal";
  readonly reason: "denied" | "missing" | "other";
  constructor(reason: ArmRefusal["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

const SUBSCRIPTIONS_VERSION = "2022-12-01";
const STORAGE_VERSION = "2023-05-01";

const subscription = z.object({
  subscriptionId: z.guid(),
  displayName: z.string(),
  state: z.string().optional(),
});

export async function listSubscriptions(
  arm: Arm,
  cursor: string | null,
): Promise<ArmPage<AzureSubscription>> {
  const path = "/subscriptions";
  const page = await listPage(
    arm,
    { path, query: { "api-version": SUBSCRIPTIONS_VERSION }, cursor },
    subscription,
  );
  const items = page.items.map(({ subscriptionId: id, displayName: name, state }) => ({
    id,
    name,
    isEnabled: state === undefined || state === "Enabled",
  }));
  return { ...page, items };
}

const account = z.object({
  id: z.string(),
  name: z.string(),
  location: z.string(),
  kind: z.string(),
  sku: z.object({ name: z.string() }),
  properties: z.object({
    isHnsEnabled: z.boolean().optional(),
    publicNetworkAccess: z.string().optional(),
    networkAcls: z.object({ defaultAction: z.string().optional() }).optional(),
  }),
});

export async function listAccounts(
  arm: Arm,
  subscriptionId: string,
  cursor: string | null,
): Promise<ArmPage<AzureAccount>> {
  const path = `/subscriptions/${subscriptionId}/providers/Microsoft.Storage/storageAccounts`;
  const page = await listPage(arm, { path, query: { "api-version": STORAGE_VERSION }, cursor }, account);
  return { ...page, items: page.items.map(showAccount) };
}

/** One account. `resourceId` must have the form `schema/azure.ts` asks for: it becomes the path. */
export async function readAccount(arm: Arm, resourceId: string): Promise<AzureAccount> {
  const query = { "api-version": STORAGE_VERSION };
  return showAccount(parseAnswer(account, await ask(arm, addressOf(arm, resourceId, query))));
}

const container = z.object({
  name: z.string(),
  properties: z.object({ deleted: z.boolean().optional() }).optional(),
});

export async function listArmContainers(
  arm: Arm,
  resourceId: string,
  cursor: string | null,
): Promise<ArmPage<string>> {
  const path = `${resourceId}/blobServices/default/containers`;
  const query = { "api-version": STORAGE_VERSION, $maxpagesize: "1000" };
  const page = await listPage(arm, { path, query, cursor }, container);
  const present = page.items.filter(({ properties }) => properties?.deleted !== true);
  return { ...page, items: present.map(({ name }) => name) };
}

/** Redundancy across zones goes without the Archive tier, as do premium accounts. */
const WITHOUT_ARCHIVE = /ZRS$|^Premium_/i;

function showAccount({ id, name, location, kind, sku, properties }: z.infer<typeof account>): AzureAccount {
  return {
    resourceId: id,
    name,
    location,
    kind,
    sku: sku.name,
    isHierarchical: properties.isHnsEnabled === true,
    hasArchive: !WITHOUT_ARCHIVE.test(sku.name),
    isFirewalled:
      properties.networkAcls?.defaultAction === "Deny" || properties.publicNetworkAccess === "Disabled",
  };
}

const CURSOR_CHARACTERS_MAX = 4_000;

async function listPage<Item>(
  arm: Arm,
  list: { path: string; query: Record<string, string>; cursor: string | null },
  item: z.ZodType<Item>,
): Promise<ArmPage<Item>> {
  const first = addressOf(arm, list.path, list.query);
  const url = list.cursor === null ? first : pageAt(first, list.cursor);
  const shape = z.object({ value: z.array(item), nextLink: z.string().nullish() });
  const { value, nextLink } = parseAnswer(shape, await ask(arm, url));
  return { items: value, nextCursor: nextLink ? cursorOf(first, nextLink) : null };
}

function addressOf({ microsoft }: Arm, path: string, query: Record<string, string>): URL {
  const url = new URL(microsoft.managementUrl + path);
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** Where the list goes on; always at the list's own address. */
function pageAt(first: URL, cursor: string): URL {
  const url = new URL(first);
  url.search = cursor;
  return url;
}

function cursorOf(first: URL, nextLink: string): string {
  const link = URL.canParse(nextLink) ? new URL(nextLink) : null;
  const isSamePlace =
    link !== null &&
    link.origin === first.origin &&
    link.username === "" &&
    link.password === "" &&
    // Resource names are case-insensitive, and answers do not keep the spelling of requests.
    decodeURI(link.pathname).toLowerCase() === decodeURI(first.pathname).toLowerCase();
  if (!isSamePlace || link.search.length > CURSOR_CHARACTERS_MAX) {
    throw new ArmRefusal("other", "Azure's list goes on somewhere else, which is not followed");
  }
  return link.search.slice(1);
}

async function ask({ accessToken }: Arm, url: URL): Promise<unknown> {
  const { status, text } = await askMicrosoft(url.href, {
    headers: { accept: "application/json", authorization: `Bearer ${accessToken}` },
  });
  if (status === 200) return JSON.parse(text);
  if (status === 401 || status === 403)
    throw new ArmRefusal("denied", "Azure does not let this person see it");
  if (status === 404) throw new ArmRefusal("missing", "There is nothing in Azure by this name");
  throw new ArmRefusal("other", `Azure answered with status ${status}`);
}

function parseAnswer<Shape extends z.ZodType>(shape: Shape, body: unknown): z.infer<Shape> {
  const parsed = shape.safeParse(body);
  if (!parsed.success) throw new ArmRefusal("other", "Azure's answer is not what was expected");
  return parsed.data;
}
