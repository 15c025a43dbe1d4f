/**
 * Connecting Azure Storage by signing in with Microsoft: what requests and answers hold. A *consent* is one sign-in, from
 * leaving for Microsoft's page until an account was chosen.
 */
import * as z from "zod";
import { connectionId, oauthStateId } from "./ids.ts";

/** Where Microsoft sends the browser back to; registered there, letter by letter. */
export const AZURE_CALLBACK_PATH = "/api/azure/callback";
/** The dashboard's page that goes on with `?consent=<id>`, `?connected=<connection>` or `?azure=<fault>`. */
export const AZURE_RETURN_PATH = "/settings";

export const consentBegin = z.strictObject({
  /** The connection that is to be connected anew. */
  connectionId: connectionId.nullable().default(null),
});
export type ConsentBegin = z.input<typeof consentBegin>;
/** The browser goes to `url`. */
export const consentBegun = z.object({ id: oauthStateId, url: z.url(), expiresAt: z.iso.datetime() });
export type ConsentBegun = z.infer<typeof consentBegun>;

export const consent = z.object({
  id: oauthStateId,
  tenantId: z.string(),
  principal: z.string(),
  expiresAt: z.iso.datetime(),
});
export type Consent = z.infer<typeof consent>;

/** Why a sign-in came back with nothing. */
export const CONSENT_FAULTS = {
  declined: "The sign-in was cancelled, or the consent was declined",
  consent_required: "An administrator of that Microsoft tenant has to consent first",
  wrong_tenant: "That account belongs to another Microsoft tenant than this connection",
  storage_denied:
    "That account may not use the storage: it needs the role Storage Blob Data Contributor on the account",
  unreachable: "Microsoft could not be reached; try again",
  refused: "Microsoft did not complete the sign-in; try again",
} as const;
export type ConsentFault = keyof typeof CONSENT_FAULTS;

const cursor = z.string().max(4_096).optional();
const accountName = z
  .string()
  .regex(/^[a-z0-9]{3,24}$/, "Not a storage account's name: 3 to 24 small letters and digits");
const resourceId = z
  .string()
  .max(500)
  .regex(
    /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[\p{L}\p{N}_()-][\p{L}\p{N}._()-]{0,89}\/providers\/Microsoft\.Storage\/storageAccounts\/[a-z0-9]{3,24}$/iu,
    "Not a storage account's resource id",
  );

export const azurePageQuery = z.strictObject({ cursor });
export const azureAccountQuery = z.strictObject({
  cursor,
  subscriptionId: z.guid("Not a subscription's id"),
});
export const azureContainerQuery = z.strictObject({
  cursor,
  account: accountName,
  /** Of an account that was chosen from the list; what the data plane does not show is then looked for in Azure's own list. */
  resourceId: resourceId.optional(),
});

/** A page; `note` says what to do when it does not show what somebody looks for. */
function azurePage<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable(), note: z.string().nullable() });
}
export interface AzurePage<Item> {
  items: Item[];
  nextCursor: string | null;
  note: string | null;
}

export const azureSubscription = z.object({ id: z.string(), name: z.string(), isEnabled: z.boolean() });
export type AzureSubscription = z.infer<typeof azureSubscription>;
export const azureAccount = z.object({
  resourceId: z.string(),
  name: z.string(),
  location: z.string(),
  kind: z.string(),
  sku: z.string(),
  isHierarchical: z.boolean(),
  hasArchive: z.boolean(),
  /** Not open to every network: agents must be on one that is let in. */
  isFirewalled: z.boolean(),
});
export type AzureAccount = z.infer<typeof azureAccount>;
export const azureSubscriptions = azurePage(azureSubscription);
export const azureAccounts = azurePage(azureAccount);
export const azureContainers = azurePage(z.string());

export const consentFinish = z.strictObject({
  name: z.string().trim().min(1, "Give a name").max(200),
  account: accountName,
  /** Of an account that was chosen from the list; null where its name was typed. */
  resourceId: resourceId.nullable().default(null),
});
export type ConsentFinish = z.input<typeof consentFinish>;
