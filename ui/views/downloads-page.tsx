/** The agent for each system: how to get it, check it, what it needs, and what it may reach. */
import "./downloads.css";
import { useState } from "preact/hooks";
import { LinkButton } from "../components/button.tsx";
import { CopyButton } from "../components/copy-button.tsx";
import { Facts } from "../components/figures.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatBytes, formatDate } from "../format.ts";
import { type AgentHost, createAgentHosts } from "../models/agent-hosts.ts";
import { createRelease, executablePath, type Release, type ReleasedFile } from "../models/release.ts";
import type { App } from "../models/app.ts";
import { pathOf } from "../models/router.ts";
import { AGENT_FACTS, AGENT_FILES, buildCommand } from "./agent-facts.ts";
import { type System, SYSTEM_WORDS, SYSTEMS } from "./register-command.ts";
import { usePageModel } from "./use-page-model.ts";
import { downloadsPage as texts } from "../texts/downloads.ts";

export function DownloadsPage({ app }: { app: App }) {
  const [system, setSystem] = useState<System>("windows");
  const release = usePageModel(() => createRelease(app));
  return (
    <Page
      title={texts.downloads}
      lead={texts.agentOneProgramMachine}
      actions={
        app.session.rights.value.administer && (
          <LinkButton look="primary" icon="plus" href={pathOf({ page: "agent-register" })}>
            {texts.registerAgent}
          </LinkButton>
        )
      }
      narrow
    >
      <Card>
        <div class="tabs tabs-inside" role="group" aria-label={texts.systemOfTheMachine}>
          {SYSTEMS.map((item) => (
            <button
              key={item}
              type="button"
              class={item === system ? "tab tab-on" : "tab"}
              aria-pressed={item === system}
              data-testid={`system-${item}`}
              onClick={() => setSystem(item)}
            >
              {SYSTEM_WORDS[item]}
            </button>
          ))}
        </div>
        <Loaded remote={release.remote.value} onRetry={release.open}>
          {(shown) => <SystemFacts app={app} system={system} release={shown.release} />}
        </Loaded>
      </Card>
      <FirewallCard app={app} />
      <Card title={texts.whatTheAgentKeeps}>
        <dl class="paths">
          {AGENT_FILES.map(({ name, text }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </Card>
    </Page>
  );
}

function SystemFacts({ app, system, release }: { app: App; system: System; release: Release }) {
  const facts = AGENT_FACTS[system];
  const fileOf = (target: string) => release?.files.find((file) => file.target === target);
  const unreleased = facts.builds.filter(({ target }) => fileOf(target) === undefined);
  return (
    <div class="downloads-system" data-testid={`facts-${system}`}>
      <Facts
        facts={[
          ...(release === null
            ? []
            : [
                {
                  title: texts.version,
                  value: texts.versionOf(release.version, formatDate(release.releasedAt)),
                  testId: "release-version",
                },
              ]),
          { title: texts.needs, value: facts.needs },
          { title: texts.memory, value: texts.up200MbWhile },
          { title: texts.tried, value: system === "linux" ? texts.onX64 : texts.notByUsYet },
          {
            title: texts.keepsItsFilesIn,
            value: facts.folders.map(({ path, when }) => (
              <span key={path} class="downloads-line">
                <code>{path}</code> <span class="muted">{when}</span>
              </span>
            )),
          },
        ]}
      />
      {facts.builds.map(({ target, machine }) => {
        const file = fileOf(target);
        return file && <Executable key={target} app={app} machine={machine} file={file} />;
      })}
      {unreleased.length > 0 && (
        <Notice tone="warning" testId="no-download">
          {release === null ? texts.thereNoFinishedDownload : texts.notInThisRelease}
        </Notice>
      )}
      {unreleased.map((build) => (
        <Line
          key={build.target}
          app={app}
          title={texts.makeItFor(build.machine)}
          text={buildCommand(build)}
          note={texts.folderSourceProgramThen}
        />
      ))}
      <Line app={app} title={texts.checkIt} text={facts.checksum} note={texts.machineWhereRunWhat} />
    </div>
  );
}

function Executable({ app, machine, file }: { app: App; machine: string; file: ReleasedFile }) {
  return (
    <div class="code-way" data-testid={`executable-${file.target}`}>
      <h2>{texts.forMachine(machine)}</h2>
      <div class="code-way-foot">
        <LinkButton look="primary" href={executablePath(file)} download testId={`take-${file.target}`}>
          {texts.download}
        </LinkButton>
        <p class="muted">{texts.sizeOfTheProgram(formatBytes(file.sizeBytes))}</p>
      </div>
      <pre class="command" tabIndex={0}>
        {file.sha256}
      </pre>
      <div class="code-way-foot">
        <CopyButton text={file.sha256} label={texts.copy} copy={app.copy} />
        <p class="muted">{texts.itsSha256}</p>
      </div>
    </div>
  );
}

function Line({ app, title, text, note }: { app: App; title: string; text: string; note: string }) {
  return (
    <div class="code-way">
      <h2>{title}</h2>
      <pre class="command" tabIndex={0}>
        {text}
      </pre>
      <div class="code-way-foot">
        <CopyButton text={text} label={texts.copy} copy={app.copy} />
        <p class="muted">{note}</p>
      </div>
    </div>
  );
}

function FirewallCard({ app }: { app: App }) {
  const model = usePageModel(() => createAgentHosts(app));
  return (
    <Card title={texts.whoeverLooksAfterFirewall} testId="firewall">
      <p class="muted">{texts.agentOnlyCallsOut}</p>
      <Loaded remote={model.connections.remote.value} onRetry={() => void model.connections.reload()}>
        {() => (
          <dl class="hosts" data-testid="hosts">
            {model.hosts.value.map((host) => (
              <div key={host.host + host.port}>
                <dt>{`${host.host}:${host.port}`}</dt>
                <dd>{hostText(host)}</dd>
              </div>
            ))}
          </dl>
        )}
      </Loaded>
      <ul class="steps muted">
        <li>{texts.proxyTakenFromHttps}</li>
        <li>{texts.whereProxyOpensTls}</li>
        <li>{texts.filesGoStraightStorage}</li>
      </ul>
    </Card>
  );
}

function hostText({ of }: AgentHost): string {
  switch (of.kind) {
    case "control_plane":
      return texts.httpsWebsocketWhatDone;
    case "storage":
      return of.account === null
        ? texts.httpsFilesThemselvesOnce
        : texts.httpsFilesThemselvesStorage(of.account);
  }
}
