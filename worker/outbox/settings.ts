/**
 * Who is told of anything outside, as the deployment says: what is not set is off. Bus, mail and billing are the
 * deployment's own addresses; those of webhooks are people's, and judged in `webhook-address.ts`.
 */

/** What the deployment may say of it. */
export interface OutboxVariables {
  readonly ENVIRONMENT: string;
  /** Where the dashboard is, for links in what is sent. */
  readonly APP_URL?: string;
  readonly BUS_API_URL?: string;
  readonly BUS_INTEGRATION_KEY?: string;
  readonly HUB_BILLING_API_URL?: string;
  /** Sent as a bearer token where it is set. */
  readonly HUB_BILLING_API_KEY?: string;
  /** Cloudflare Email Service. */
  readonly EMAIL?: SendEmail;
  /** A mail provider that takes what Resend takes, such as `https://api.resend.com/emails`; it comes before `EMAIL`. */
  readonly MAIL_API_URL?: string;
  readonly MAIL_API_KEY?: string;
  /** From whom mails are: `Name <address>`, or an address. */
  readonly MAIL_FROM?: string;
  readonly SECRETS_KEYS?: string;
}

export interface Remote {
  readonly url: string;
  readonly key: string;
}

export type MailSettings =
  | { readonly kind: "off" }
  /** Mails stay in the outbox, where `/dev/outbox` shows them. */
  | { readonly kind: "development" }
  | { readonly kind: "api"; readonly remote: Remote; readonly from: string }
  | { readonly kind: "binding"; readonly binding: Pick<SendEmail, "send">; readonly from: string };

export interface OutboxSettings {
  readonly appUrl: string;
  readonly bus: Remote | null;
  readonly billing: { readonly url: string; readonly key: string | null } | null;
  readonly mail: MailSettings;
  /** In development a webhook may lead to this machine. */
  readonly isDevelopment: boolean;
  readonly secretsKeys: string | undefined;
}

const APP_URL_PRODUCTION = "https://app.theonemigrate.app";
const APP_URL_DEVELOPMENT = "http://127.0.0.1:8787";

export function outboxSettings(variables: OutboxVariables): OutboxSettings {
  const { ENVIRONMENT, APP_URL, BUS_API_URL, BUS_INTEGRATION_KEY, HUB_BILLING_API_URL } = variables;
  const isDevelopment = ENVIRONMENT === "development";
  const isUsable = (url: string | undefined): url is string => isAddress(url, isDevelopment);
  return {
    appUrl: withoutSlash(APP_URL ?? (isDevelopment ? APP_URL_DEVELOPMENT : APP_URL_PRODUCTION)),
    bus:
      isUsable(BUS_API_URL) && BUS_INTEGRATION_KEY !== undefined
        ? { url: withoutSlash(BUS_API_URL), key: BUS_INTEGRATION_KEY }
        : null,
    billing: isUsable(HUB_BILLING_API_URL)
      ? { url: withoutSlash(HUB_BILLING_API_URL), key: variables.HUB_BILLING_API_KEY ?? null }
      : null,
    mail: mailSettings(variables, isDevelopment),
    isDevelopment,
    secretsKeys: variables.SECRETS_KEYS,
  };
}

function mailSettings(variables: OutboxVariables, isDevelopment: boolean): MailSettings {
  const { EMAIL, MAIL_API_URL, MAIL_API_KEY, MAIL_FROM } = variables;
  if (MAIL_FROM !== undefined) {
    if (isAddress(MAIL_API_URL, isDevelopment) && MAIL_API_KEY !== undefined) {
      return { kind: "api", remote: { url: MAIL_API_URL, key: MAIL_API_KEY }, from: MAIL_FROM };
    }
    if (MAIL_API_URL === undefined && EMAIL !== undefined) {
      return { kind: "binding", binding: EMAIL, from: MAIL_FROM };
    }
  }
  return { kind: isDevelopment ? "development" : "off" };
}

/** What is half set, as sentences for the operator. */
export function outboxFaults(variables: OutboxVariables): string[] {
  const wrong: string[] = [];
  const isDevelopment = variables.ENVIRONMENT === "development";
  for (const name of ["APP_URL", "BUS_API_URL", "HUB_BILLING_API_URL", "MAIL_API_URL"] as const) {
    if (variables[name] !== undefined && !isAddress(variables[name], isDevelopment)) {
      wrong.push(`${name} must be an https address without a name and password`);
    }
  }
  const together = (first: keyof OutboxVariables, second: keyof OutboxVariables) => {
    if ((variables[first] === undefined) === (variables[second] === undefined)) return;
    wrong.push(`${first} and ${second} must be set together`);
  };
  together("BUS_API_URL", "BUS_INTEGRATION_KEY");
  together("MAIL_API_URL", "MAIL_API_KEY");
  const sends = variables.MAIL_API_URL !== undefined || variables.EMAIL !== undefined;
  if (sends !== (variables.MAIL_FROM !== undefined)) {
    wrong.push("MAIL_FROM must be set together with MAIL_API_URL or the binding EMAIL");
  }
  return wrong;
}

function isAddress(text: string | undefined, isDevelopment: boolean): text is string {
  const url = URL.parse(text ?? "");
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return (
    isDevelopment && url.protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)
  );
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
