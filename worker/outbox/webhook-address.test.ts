import { expect, test } from "vitest";
import { refusalOfAddress } from "./webhook-address.ts";

const production = { isDevelopment: false };

/** Other spellings of the loopback address and of private ones, as parsers and resolvers have been seen to take them. */
const NUMBERS = [
  "127.0.0.1", "127.1", "127.0.1", "127.000.000.001", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
  "127.0.0.1.", "0", "0.0.0.0", "0x0", "00", "1", "10.0.0.1", "10.1", "0xa000001", "167772161", "172.16.0.1", "172.31.255.255",
  "192.168.0.1", "192.168.1", "0xc0a80001", "3232235521", "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376",
  "169.254.43518", "100.64.0.1", "198.18.0.1", "192.0.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1", "240.0.0.1",
  "255.255.255.255", "8.8.8.8", "1.1.1.1", "134744072",
  "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
  "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2002:7f00:1::]", "[2001:db8::1]", "[2606:4700:4700::1111]",
  "①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "127%2e0%2e0%2e1", "%31%32%37.0.0.1",
]; // prettier-ignore

const NAMES = [
  "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "localdomain", "foo.local", "printer.local.",
  "metadata.google.internal", "metadata.google.internal.", "metadata", "instance-data", "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local", "service.consul", "host.docker.internal", "gateway.docker.internal", "kube.internal",
  "server", "intranet", "intranet.", "a.intranet", "a.lan", "a.home", "a.corp", "a.private", "a.mail", "router.lan", "nas.home.arpa",
  "1.0.0.127.in-addr.arpa", "example", "a.example", "a.test", "a.invalid", "facebookcorewwwi.onion", "a.alt", "vault.workgroup",
  "a.vpn", "the.gateway", "a.router", "fritz.box", "a.fritz.box", "a.kube", "a.docker",
  "127.0.0.1.nip.io", "10.0.0.1.nip.io", "nip.io", "a.sslip.io", "127-0-0-1.sslip.io", "a.xip.io", "localtest.me", "a.localtest.me",
  "lvh.me", "a.lvh.me", "vcap.me", "lacolhost.com", "a.localhost.direct", "a.traefik.me", "make-1.1.1.1-rebind-127.0.0.1-rr.1u.ms",
  "7f000001.c0a80001.rbndr.us", "app.theonemigrate.app", "theonemigrate.app", "x.y.theonemigrate.app", "APP.THEONEMIGRATE.APP",
  "-a.com", "a-.com", "a..com", ".com", ".", "..", "a.c", "a.1", "a.123", "a.0x7f", `${"a".repeat(64)}.com`,
  `${"a.".repeat(130)}com`, "a_b.com", "exa mple.com", "exam\u200bple.com", "ex\u00adample.test", "ｌｏｃａｌｈｏｓｔ", "ⓛocalhost",
]; // prettier-ignore

/** Written as they are: what is wrong is around the host. */
const WHOLE = [
  "", " ", "https://", "https:///", "https:///a", "https:/example.com", "https:example.com", "//example.com", "example.com",
  "http://example.com", "HTTP://example.com", "ftp://example.com", "file:///etc/passwd", "file://example.com/a", "gopher://example.com/_x",
  "data:text/plain,hi", "javascript:alert(1)", "blob:https://example.com/1", "ws://example.com", "wss://example.com", "ldap://example.com",
  "dict://example.com", "ssh://example.com", "unix:/var/run/docker.sock", "about:blank", "https//example.com", "htps://example.com",
  "https://example.com:80", "https://example.com:8443", "https://example.com:22", "https://example.com:25", "https://example.com:6379",
  "https://example.com:65536", "https://example.com:-1", "https://example.com:0", "https://example.com:443:443", "https://example.com:abc",
  "https://user@example.com", "https://user:pass@example.com", "https://:@example.com", "https://@example.com", "https://:pass@example.com",
  "https://example.com@127.0.0.1", "https://example.com@localhost/", "https://example.com%40localhost", "https://127.0.0.1@example.com",
  "https://example.com:443@127.0.0.1/", "https://a@b@example.com", "https://example.com\\@127.0.0.1", "https:\\\\example.com",
  "https://example.com\\.local", "https:/\\example.com", "https:///\\example.com", "\\\\example.com\\share", "https://example.com\\\\a",
  " https://example.com", "https://example.com ", "https://example.com/ a", "https://example.com/\n", "https://example.com/\r\nHost: a",
  "https://exa\nmple.com", "ht\ntps://example.com", "\thttps://example.com", "https://example.com\u0000", "https://example.com/\u0000",
  "https://example.com/\u202e", "https://example.com/ü", "https://example.com/\u2028", "https://bücher.example", "https://例え.テスト/",
  "https://example.com/#", "https://example.com/#a", "https://example.com#@127.0.0.1/", "https://example.com/?#", "https://#example.com",
  "https://?example.com", "https://?", "https://:443", "https://.", "https://..", "https://%", "https://%00", "https://%0d%0a.com",
  "https://[", "https://]", "https://[]", "https://[::1", "https://::1", "https://::1]/", "https://[::1%25eth0]/", "https://[::1]:443",
  "https://example.com%2f@127.0.0.1", "https://example.com%23.local", "https://example.com%2elocal", "https://example%2ecom%00.local",
  "https://xn--", "https://xn--a", "https://xn--localhost-.com.", "https://*", "https://*.example.com", "https://$(id).com", "https://`id`.com",
  "https://{{host}}.com", "https://${env}.com", "https://<host>.com", "https://\"a\".com", "https://a,b.com", "https://a;b.com", "https://a|b.com",
  "https://a^b.com", "https://a'b.com", "https://a!b.com", "https://a~b.com", "https://a(b).com", "https://a=b.com", "https://a+b.com",
  "https://a&b.com", "null", "undefined", "0", "127.0.0.1", "localhost", "[::1]", "https", "https:", `https://example.com/${"a".repeat(1_000)}`,
]; // prettier-ignore

const PATHS = ["", "/", "/hook?x=1"];

test("[O8] no address that leads to an inner network, or that two programs could read in two ways, is taken", () => {
  const hosts = [...NUMBERS, ...NAMES].flatMap((host) => PATHS.map((path) => `https://${host}${path}`));
  const all = [...new Set([...hosts, ...WHOLE])];
  expect(all.length).toBeGreaterThanOrEqual(300);
  const taken = all.filter((address) => refusalOfAddress(address, production) === null);
  expect(taken).toEqual([]);
  // Each says why, in a sentence that repeats nothing of what was given.
  for (const address of all) expect(refusalOfAddress(address, production)).toMatch(/^[A-Z][^<>\r\n]{10,}$/);
});

test("[O8] public addresses are taken", () => {
  for (const address of [
    "https://example.com",
    "https://example.com:443/hook",
    "https://Hooks.Example.COM/a/b?c=d&e=%20",
    "https://hooks.example.co.uk/",
    "https://xn--bcher-kva.de/hook",
    "https://a.b.c.d.example.org/~x/(1)/'2'/!*;,@",
    "https://localhost.example.com/",
    "https://mail.example.com/",
    "https://1password.com/x",
    "https://hooks.example.com./x",
  ])
    expect(refusalOfAddress(address, production), address).toBeNull();
});

test("[O8] in development this machine may be called, and nothing else that may not", () => {
  const development = { isDevelopment: true };
  for (const address of ["http://127.0.0.1:9/x", "http://localhost:8080", "http://[::1]:1/"])
    expect(refusalOfAddress(address, development), address).toBeNull();
  for (const address of [
    "http://127.0.0.2/",
    "http://example.com/",
    "http://10.0.0.1/",
    "http://a.localhost/",
    "http://u@127.0.0.1/",
  ])
    expect(refusalOfAddress(address, development), address).not.toBeNull();
});
