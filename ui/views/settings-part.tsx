import type { ComponentChildren } from "preact";
import { Notice } from "../components/loaded.tsx";
import { Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { pathOf } from "../models/router.ts";
import { settingsPart as texts } from "../texts/settings.ts";

/** A page of the settings. What is for admins is not even asked for by others, who would only be refused. */
export function SettingsPart(props: {
  app: App;
  title: string;
  lead: ComponentChildren;
  forAdmins?: true;
  actions?: ComponentChildren;
  children: () => ComponentChildren;
}) {
  const mayOpen = props.forAdmins !== true || props.app.session.rights.value.administer;
  return (
    <Page
      title={props.title}
      crumb={{ text: texts.settings, href: pathOf({ page: "settings" }) }}
      lead={props.lead}
      actions={mayOpen && props.actions}
    >
      {mayOpen ? (
        props.children()
      ) : (
        <Notice tone="warning" testId="admins-only">
          {texts.onlyAdminOwnerSees}
        </Notice>
      )}
    </Page>
  );
}
