import { Icon, type IconName } from "../components/icon.tsx";
import { Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { pathOf, type SettingsPart } from "../models/router.ts";
import { settingsPage as texts } from "../texts/settings.ts";

interface Section {
  readonly part: SettingsPart;
  readonly title: string;
  readonly text: string;
  readonly icon: IconName;
  readonly forAdmins?: true;
}

const SECTIONS: readonly Section[] = [
  {
    part: "storage",
    title: texts.storageConnections,
    text: texts.azureStorageAccountsFiles,
    icon: "cloud",
  },
  {
    part: "codes",
    title: texts.registrationCodes,
    text: texts.oneTimeCodesWhich,
    icon: "agent",
    forAdmins: true,
  },
  {
    part: "members",
    title: texts.members,
    text: texts.whoBelongsYourOrganization,
    icon: "client",
  },
  {
    part: "sessions",
    title: texts.sessions,
    text: texts.whereYouSignedSigning,
    icon: "user",
  },
  {
    part: "api-keys",
    title: texts.apiKeys,
    text: texts.accessYourOwnScripts,
    icon: "settings",
    forAdmins: true,
  },
  {
    part: "webhooks",
    title: texts.webhooks,
    text: texts.otherSystemsHearOnce,
    icon: "job",
    forAdmins: true,
  },
  {
    part: "audit",
    title: texts.auditLog,
    text: texts.whoDidWhatSealed,
    icon: "file",
    forAdmins: true,
  },
];

export function SettingsPage({ app }: { app: App }) {
  const { administer } = app.session.rights.value;
  return (
    <Page title={texts.settings} lead={texts.whatHoldsYourWhole}>
      <ul class="sections" data-testid="settings-sections">
        {SECTIONS.filter((section) => administer || section.forAdmins !== true).map((section) => (
          <li key={section.part}>
            <a
              class="section"
              href={pathOf({ page: "settings-part", part: section.part })}
              data-testid={`settings-${section.part}`}
            >
              <span class="section-icon">
                <Icon name={section.icon} size={20} />
              </span>
              <span class="section-words">
                <strong>{section.title}</strong>
                <span class="muted">{section.text}</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </Page>
  );
}
