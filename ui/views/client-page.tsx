import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Facts } from "../components/figures.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createClientPage } from "../models/clients.ts";
import { pathOf } from "../models/router.ts";
import { CLIENT_STATUS_WORDS } from "../words.ts";
import { ProjectTable } from "./project-table.tsx";
import { usePageModel } from "./use-page-model.ts";

export function ClientPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createClientPage(app.api, app.toasts, id), id);
  const client = model.client.value.value;
  const mayWrite = app.session.rights.value.write;
  const newProject = mayWrite && client?.status === "active" && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "project-new", clientId: id })}
      testId="new-project"
    >
      New project
    </LinkButton>
  );
  return (
    <Page
      title={client?.name ?? "Client"}
      crumb={{ text: "Clients", href: pathOf({ page: "clients" }) }}
      badge={client && <Badge words={CLIENT_STATUS_WORDS[client.status]} />}
      actions={
        client &&
        mayWrite && (
          <>
            <Button
              testId="archive-client"
              onPress={() => void model.setStatus(client.status === "active" ? "archived" : "active")}
            >
              {client.status === "active" ? "Archive" : "Make active"}
            </Button>
            <LinkButton href={pathOf({ page: "client-edit", id })} testId="edit-client">
              Edit
            </LinkButton>
            {newProject}
          </>
        )
      }
    >
      <Loaded remote={model.client.remote.value} onRetry={() => void model.client.reload()}>
        {(value) => (
          <>
            <Card>
              <Facts
                facts={[
                  { title: "Contact", value: value.contactName ?? NOTHING },
                  { title: "E-mail", value: value.contactEmail ?? NOTHING },
                  { title: "PSA company", value: value.psaCompanyId ?? NOTHING },
                  { title: "Client since", value: formatDate(value.createdAt) },
                ]}
              />
            </Card>
            <Card title="Projects" flush>
              <Loaded remote={model.projects.remote.value} onRetry={() => void model.projects.reload()}>
                {(projects) =>
                  projects.length === 0 ? (
                    <EmptyState icon="project" title="No projects yet" action={newProject}>
                      A project is one engagement for this client, with its place in a storage account.
                    </EmptyState>
                  ) : (
                    <ProjectTable projects={projects} within="client" />
                  )
                }
              </Loaded>
              <MoreButton
                hasMore={model.projects.hasMore.value}
                busy={model.projects.loadingMore.value}
                onMore={() => void model.projects.more()}
              />
            </Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}
