import assert from "node:assert/strict";
import { readListing } from "./blob-listing.ts";
import { XmlError } from "./xml.ts";

const BLOB = `<Blob><Name>a&amp;b/ö.txt</Name><Properties><Creation-Time>x</Creation-Time><Last-Modified>Wed, 01 Jul 2026 10:00:00 GMT</Last-Modified><Etag>0x8D1</Etag>
  <Content-Length>11</Content-Length><AccessTier>Cool</AccessTier></Properties>
  <Metadata><mtime>2026-01-01T00:00:00.000Z</mtime><sha256>ab</sha256></Metadata><OrMetadata /></Blob>`;

function listing(blobs: string, marker: string): string {
  return `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Prefix>p</Prefix><Blobs>${blobs}</Blobs>${marker}</EnumerationResults>`;
}

/** The same, in a way that only the parser reads. */
function parsed(text: string): string {
  return text.replace("<Blobs>", "<Blobs><!-- by the parser -->");
}

Deno.test("[Z2] a page of the listing is read alike by search and by the parser", () => {
  const texts = [
    listing("", "<NextMarker/>"),
    listing("", "<NextMarker>m&lt;1</NextMarker>"),
    listing(BLOB, "<NextMarker />"),
    listing(
      `${BLOB}<BlobPrefix><Name>p/</Name></BlobPrefix>${BLOB.replace("a&amp;b", "&#x41;")}`,
      "<NextMarker>2</NextMarker>",
    ),
    listing(BLOB.replace(/<Metadata>.*<\/Metadata>/s, ""), "<NextMarker/>"),
    listing(
      BLOB.replace("<Metadata>", "<Metadata><sha2567>no</sha2567>").replaceAll("sha256>", "SHA256>"),
      "",
    ),
    listing(BLOB.replace("<Name>", '<Name Encoded="true">').replace("ö", "%EF%BF%BF"), ""),
    listing(BLOB.replace("a&amp;b/ö.txt", "&lt;/Blob&gt;&lt;NextMarker&gt;evil"), ""),
    listing(BLOB.replace("<AccessTier>Cool</AccessTier>", ""), ""),
    listing(BLOB.replace("Cool", "Hot"), ""),
    listing(
      BLOB.replace("<AccessTier>", "<AccessTierChangeTime>later</AccessTierChangeTime><AccessTier>"),
      "",
    ),
  ];
  for (const text of texts) assert.deepEqual(readListing(text), readListing(parsed(text)), text);
  assert.deepEqual(readListing(texts[2] as string), {
    blobs: [
      {
        name: "a&b/ö.txt",
        sizeBytes: 11,
        etag: "0x8D1",
        tier: "Cool",
        tierSince: "Wed, 01 Jul 2026 10:00:00 GMT",
        sha256: "ab",
        modified: "2026-01-01T00:00:00.000Z",
      },
    ],
    nextMarker: "",
  });
  assert.equal(readListing(texts[3] as string).blobs[1]?.name, "A/ö.txt");
  assert.equal(readListing(texts[6] as string).blobs[0]?.name, "a&b/\uffff.txt");
  const since = texts.slice(-3).map((text) => readListing(text).blobs[0]?.tierSince);
  assert.deepEqual(since, ["", "", "later"], "where nobody pays for it no time is read");
});

Deno.test("[X1] a page of the listing that is cut off anywhere is refused", () => {
  const whole = listing(BLOB + BLOB, "<NextMarker>next</NextMarker>");
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => readListing(whole.slice(0, length)), XmlError, whole.slice(0, length).slice(-30));
  const missing = whole.replace("</Blob>", "");
  assert.throws(() => readListing(missing), XmlError);
});
