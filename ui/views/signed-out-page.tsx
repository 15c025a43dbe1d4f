import { useEffect } from "preact/hooks";

/** The worker sends the browser on to the Hub, which alone knows who people are. */
export function SignedOutPage() {
  useEffect(() => {
    document.title = "Sign in · Migrate";
  }, []);
  return (
    <main class="signed-out">
      <img src="/icon.svg" width="56" height="56" alt="" />
      <h1>Migrate</h1>
      <p>Move your customers' files to the cloud, watched live and proved at the end.</p>
      <a class="button button-primary button-large" href="/sso/start" data-testid="sign-in">
        Sign in
      </a>
    </main>
  );
}
