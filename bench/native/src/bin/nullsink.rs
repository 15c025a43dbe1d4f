//! nullsink: an HTTP/1.1 server that speaks just enough of the Blob service for
//! upload clients, and discards the bodies. See README.md for the options.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use ublib::digest::{crc64, crc64_combine, Md5};
use ublib::{b64, hex, http_date, SplitMix64};

// ------------------------------------------------------------------ options
struct Opt {
    addr: String,
    control: Option<String>,
    verify: bool,
    digest: bool,
    store: Option<String>,
    delay: Duration,
    rate: u64, // bytes a second, 0 = none
    rcvbuf: i32,
    p503: f64,
    preset: f64,
    plost: f64,
    pmd5: f64,
    pstall: f64,
    stall: Duration,
    seed: u64,
    early: bool,
    chunked: bool,
    retry_after: Option<u64>,
    log: Option<Mutex<std::fs::File>>,
    cert: Option<String>,
    key: Option<String>,
}

const HELP: &str = "nullsink: a Blob-service-shaped HTTP server that discards bodies
  --addr HOST:PORT     listen here (127.0.0.1:18000)
  --control HOST:PORT  answer the control requests here too, over plain HTTP and without any fault or delay
  --verify             check Content-MD5 and x-ms-content-crc64 of every body (400 Md5Mismatch / Crc64Mismatch)
  --digest             CRC-64 of every body; the manifest then has each blob's CRC-64
  --store DIR          keep the bodies in DIR (Get Blob then works)
  --delay-ms N         wait N ms before each answer (imitates a far server)
  --rate-mbps N        read all bodies together at N megabits a second
  --rcvbuf BYTES       SO_RCVBUF of each connection (with --rate-mbps: 262144)
  --fail-503 P         answer a share P of the requests 503 ServerBusy (body read first)
  --early-503          ... without reading the body, then close the connection
  --retry-after S      ... with Retry-After: S
  --reset P            reset a share P of the PUT connections in the middle of the body
  --lost P             act on a share P of the PUTs, then reset without an answer
  --md5-mismatch P     answer a share P of the body PUTs 400 Md5Mismatch
  --stall P --stall-ms N   sit silent for N ms before answering a share P of the requests
  --seed N             the seed of those choices (1)
  --allow-chunked      take Transfer-Encoding: chunked (the service wants Content-Length: 411)
  --log FILE           one line a request
  --cert F --key F     HTTPS (built with --features tls)
control: GET /_sink/stats  GET /_sink/rate?ms=1000  GET /_sink/manifest  POST /_sink/reset  GET /_sink/quit
         GET /_sink/stored?container=C (files and bytes)  POST /_sink/empty?container=C";

fn options() -> Opt {
    let mut o = Opt {
        addr: "127.0.0.1:18000".into(),
        control: None,
        verify: false,
        digest: false,
        store: None,
        delay: Duration::ZERO,
        rate: 0,
        rcvbuf: 0,
        p503: 0.0,
        preset: 0.0,
        plost: 0.0,
        pmd5: 0.0,
        pstall: 0.0,
        stall: Duration::ZERO,
        seed: 1,
        early: false,
        chunked: false,
        retry_after: None,
        log: None,
        cert: None,
        key: None,
    };
    let mut a = std::env::args().skip(1);
    fn num<T: std::str::FromStr>(k: &str, v: Option<String>) -> T {
        v.and_then(|v| v.parse().ok()).unwrap_or_else(|| die(&format!("{k} needs a number")))
    }
    while let Some(k) = a.next() {
        match k.as_str() {
            "--addr" => o.addr = a.next().unwrap_or_else(|| die("--addr needs a value")),
            "--control" => o.control = Some(a.next().unwrap_or_else(|| die("--control needs a value"))),
            "--verify" => o.verify = true,
            "--digest" => o.digest = true,
            "--store" => o.store = Some(a.next().unwrap_or_else(|| die("--store needs a folder"))),
            "--delay-ms" => o.delay = Duration::from_micros((num::<f64>(&k, a.next()) * 1e3) as u64),
            "--rate-mbps" => o.rate = (num::<f64>(&k, a.next()) * 125_000.0) as u64,
            "--rcvbuf" => o.rcvbuf = num(&k, a.next()),
            "--fail-503" => o.p503 = num(&k, a.next()),
            "--reset" => o.preset = num(&k, a.next()),
            "--lost" => o.plost = num(&k, a.next()),
            "--md5-mismatch" => o.pmd5 = num(&k, a.next()),
            "--stall" => o.pstall = num(&k, a.next()),
            "--stall-ms" => o.stall = Duration::from_millis(num(&k, a.next())),
            "--seed" => o.seed = num(&k, a.next()),
            "--early-503" => o.early = true,
            "--allow-chunked" => o.chunked = true,
            "--retry-after" => o.retry_after = Some(num(&k, a.next())),
            "--log" => {
                let f = a.next().unwrap_or_else(|| die("--log needs a file"));
                let f = std::fs::OpenOptions::new().create(true).append(true).open(&f);
                o.log = Some(Mutex::new(f.unwrap_or_else(|e| die(&format!("--log: {e}")))));
            }
            "--cert" => o.cert = a.next(),
            "--key" => o.key = a.next(),
            "-h" | "--help" => {
                println!("{HELP}");
                std::process::exit(0)
            }
            _ => die(&format!("unknown option {k}; see --help")),
        }
    }
    if o.rate > 0 && o.rcvbuf == 0 {
        o.rcvbuf = 262_144;
    }
    if let Some(d) = &o.store {
        std::fs::create_dir_all(d).unwrap_or_else(|e| die(&format!("--store: {e}")));
    }
    o
}
fn die(m: &str) -> ! {
    eprintln!("nullsink: {m}");
    std::process::exit(2)
}

// ------------------------------------------------------------------ state
#[derive(Clone)]
struct Block {
    id: String,
    size: u64,
    crc: u64,
    file: u64, // number of the stored file, 0 = none
}
#[derive(Clone, Default)]
struct Blob {
    size: u64,
    etag: u64,
    mtime: u64,
    ctype: String,
    md5: String,
    tier: String,
    meta: Vec<(String, String)>,
    blocks: Vec<Block>,
    crc: u64,
    files: Vec<u64>,
}
#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Blob>, // "container/name"
    uncommitted: HashMap<String, HashMap<String, Block>>,
    containers: BTreeMap<String, u64>,
}

const BUCKETS: usize = 1 << 19; // of 10 ms: 87 minutes
const OPS: [&str; 19] = [
    "PutBlob", "PutBlock", "PutBlockList", "GetBlockList", "HeadBlob", "GetBlob", "List",
    "ListContainers", "PutContainer", "GetContainer", "SetMetadata", "SetProperties", "SetTier", "Delete", "Batch",
    "Other", "Expect100", "Retried503", "Injected",
];
struct Sink {
    o: Opt,
    st: Mutex<State>,
    seq: AtomicU64,
    reqno: AtomicU64,
    ops: [AtomicU64; 19],
    status: Mutex<BTreeMap<u16, u64>>,
    body_in: AtomicU64,
    conns: AtomicU64,
    open: AtomicI64,
    open_max: AtomicI64,
    inflight: AtomicI64,
    inflight_max: AtomicI64,
    start: Instant,
    first: AtomicU64, // 10 ms ticks of the first and last body byte
    last: AtomicU64,
    rate: Vec<AtomicU64>,
    bucket: Mutex<f64>, // the moment (s since start) up to which the rate is spent
}

fn op(name: &str) -> usize {
    OPS.iter().position(|x| *x == name).unwrap()
}

impl Sink {
    fn count(&self, n: u64) {
        if n == 0 {
            return;
        }
        self.body_in.fetch_add(n, Relaxed);
        let t = self.start.elapsed().as_millis() as u64 / 10;
        self.rate[t as usize & (BUCKETS - 1)].fetch_add(n, Relaxed);
        self.first.fetch_min(t, Relaxed);
        self.last.fetch_max(t, Relaxed);
        if self.o.rate > 0 {
            let wait = {
                let mut b = self.bucket.lock().unwrap();
                let now = self.start.elapsed().as_secs_f64();
                *b = b.max(now - 0.005) + n as f64 / self.o.rate as f64;
                *b - now
            };
            if wait > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(wait));
            }
        }
    }
}

// ------------------------------------------------------------------ sockets
extern "C" {
    fn recv(fd: i32, buf: *mut u8, len: usize, flags: i32) -> isize;
    fn setsockopt(fd: i32, level: i32, name: i32, val: *const u8, len: u32) -> i32;
}
const MSG_TRUNC: i32 = 0x20; // TCP on Linux: take the bytes off the queue, copy nothing

#[cfg(feature = "tls")]
mod tls {
    use std::ffi::{c_char, c_int, c_long, c_void, CString};
    #[link(name = "ssl")]
    #[link(name = "crypto")]
    extern "C" {
        fn TLS_server_method() -> *const c_void;
        fn SSL_CTX_new(m: *const c_void) -> *mut c_void;
        fn SSL_CTX_use_certificate_chain_file(c: *mut c_void, f: *const c_char) -> c_int;
        fn SSL_CTX_use_PrivateKey_file(c: *mut c_void, f: *const c_char, t: c_int) -> c_int;
        fn SSL_CTX_ctrl(c: *mut c_void, cmd: c_int, l: c_long, p: *mut c_void) -> c_long;
        fn SSL_new(c: *mut c_void) -> *mut c_void;
        fn SSL_set_fd(s: *mut c_void, fd: c_int) -> c_int;
        fn SSL_accept(s: *mut c_void) -> c_int;
        fn SSL_read(s: *mut c_void, b: *mut c_void, n: c_int) -> c_int;
        fn SSL_write(s: *mut c_void, b: *const c_void, n: c_int) -> c_int;
        fn SSL_free(s: *mut c_void);
    }
    pub struct Ctx(*mut c_void);
    unsafe impl Send for Ctx {}
    unsafe impl Sync for Ctx {}
    impl Ctx {
        pub fn new(cert: &str, key: &str) -> Option<Ctx> {
            unsafe {
                let c = SSL_CTX_new(TLS_server_method());
                let (cert, key) = (CString::new(cert).ok()?, CString::new(key).ok()?);
                if SSL_CTX_use_certificate_chain_file(c, cert.as_ptr()) != 1
                    || SSL_CTX_use_PrivateKey_file(c, key.as_ptr(), 1) != 1
                {
                    return None;
                }
                SSL_CTX_ctrl(c, 41 /* SSL_CTRL_SET_READ_AHEAD */, 1, std::ptr::null_mut());
                Some(Ctx(c))
            }
        }
        pub fn accept(&self, fd: i32) -> Option<Tls> {
            unsafe {
                let s = SSL_new(self.0);
                SSL_set_fd(s, fd);
                let t = Tls(s);
                (SSL_accept(s) == 1).then_some(t)
            }
        }
    }
    pub struct Tls(*mut c_void);
    impl Tls {
        pub fn read(&mut self, b: &mut [u8]) -> isize {
            unsafe { SSL_read(self.0, b.as_mut_ptr().cast(), b.len() as c_int) as isize }
        }
        pub fn write_all(&mut self, b: &[u8]) -> bool {
            unsafe { SSL_write(self.0, b.as_ptr().cast(), b.len() as c_int) == b.len() as c_int }
        }
    }
    impl Drop for Tls {
        fn drop(&mut self) {
            unsafe { SSL_free(self.0) }
        }
    }
}
#[cfg(not(feature = "tls"))]
mod tls {
    pub struct Ctx;
    impl Ctx {
        pub fn new(_: &str, _: &str) -> Option<Ctx> {
            None
        }
        pub fn accept(&self, _: i32) -> Option<Tls> {
            None
        }
    }
    pub struct Tls;
    impl Tls {
        pub fn read(&mut self, _: &mut [u8]) -> isize {
            -1
        }
        pub fn write_all(&mut self, _: &[u8]) -> bool {
            false
        }
    }
}

struct Conn {
    s: TcpStream,
    t: Option<tls::Tls>,
    buf: Vec<u8>,
    pos: usize,
    len: usize,
}
impl Conn {
    fn read(&mut self, b: &mut [u8]) -> isize {
        match &mut self.t {
            Some(t) => t.read(b),
            None => loop {
                let n = unsafe { recv(self.s.as_raw_fd(), b.as_mut_ptr(), b.len(), 0) };
                if n < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                    continue;
                }
                return n;
            },
        }
    }
    /// One more read behind what is buffered; false at the end or on an error.
    fn fill(&mut self) -> bool {
        if self.pos > 0 {
            self.buf.copy_within(self.pos..self.len, 0);
            self.len -= self.pos;
            self.pos = 0;
        }
        if self.len == self.buf.len() {
            return false;
        }
        let mut b = std::mem::take(&mut self.buf);
        let n = self.read(&mut b[self.len..]);
        self.buf = b;
        if n <= 0 {
            return false;
        }
        self.len += n as usize;
        true
    }
    fn write(&mut self, b: &[u8]) -> bool {
        match &mut self.t {
            Some(t) => t.write_all(b),
            None => self.s.write_all(b).is_ok(),
        }
    }
    fn rst(&self) {
        #[repr(C)]
        struct Linger {
            on: i32,
            s: i32,
        }
        let l = Linger { on: 1, s: 0 };
        unsafe { setsockopt(self.s.as_raw_fd(), 1, 13, &l as *const _ as *const u8, 8) };
    }
}

/// Where a body goes: nowhere, into digests, into a file, into memory.
struct Taker {
    md5: Option<Md5>,
    crc: Option<u64>,
    file: Option<std::fs::File>,
    mem: Option<Vec<u8>>,
    n: u64,
}
impl Taker {
    fn needs_bytes(&self) -> bool {
        self.md5.is_some() || self.crc.is_some() || self.file.is_some() || self.mem.is_some()
    }
    fn put(&mut self, d: &[u8]) {
        if let Some(m) = &mut self.md5 {
            m.update(d)
        }
        if let Some(c) = &mut self.crc {
            *c = crc64(*c, d)
        }
        if let Some(f) = &mut self.file {
            f.write_all(d).expect("store: cannot write")
        }
        if let Some(m) = &mut self.mem {
            m.extend_from_slice(d)
        }
        self.n += d.len() as u64;
    }
}

/// Takes n body bytes off the connection; false if the connection ended.
fn body(k: &Sink, c: &mut Conn, t: &mut Taker, mut left: u64, scratch: &mut Vec<u8>, data: bool) -> bool {
    let have = ((c.len - c.pos) as u64).min(left) as usize;
    if have > 0 {
        t.put(&c.buf[c.pos..c.pos + have]);
        c.pos += have;
        left -= have as u64;
        if data {
            k.count(have as u64);
        }
    }
    let piece: u64 = if k.o.rate > 0 { 16 << 10 } else { 1 << 20 };
    if !t.needs_bytes() && c.t.is_none() {
        while left > 0 {
            let want = left.min(piece) as usize;
            let n = unsafe { recv(c.s.as_raw_fd(), std::ptr::null_mut(), want, MSG_TRUNC) };
            if n < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            if n <= 0 {
                return false;
            }
            left -= n as u64;
            t.n += n as u64;
            if data {
                k.count(n as u64);
            }
        }
        return true;
    }
    if scratch.is_empty() {
        scratch.resize(256 << 10, 0);
    }
    while left > 0 {
        let want = left.min(piece).min(scratch.len() as u64) as usize;
        let n = c.read(&mut scratch[..want]);
        if n <= 0 {
            return false;
        }
        t.put(&scratch[..n as usize]);
        left -= n as u64;
        if data {
            k.count(n as u64);
        }
    }
    true
}

/// A chunked body.
fn body_chunked(k: &Sink, c: &mut Conn, t: &mut Taker, scratch: &mut Vec<u8>) -> bool {
    loop {
        let line = loop {
            if let Some(i) = c.buf[c.pos..c.len].windows(2).position(|w| w == b"\r\n") {
                let l = String::from_utf8_lossy(&c.buf[c.pos..c.pos + i]).into_owned();
                c.pos += i + 2;
                break l;
            }
            if !c.fill() {
                return false;
            }
        };
        let Ok(n) = u64::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16) else {
            return false;
        };
        if n > 0 && !body(k, c, t, n, scratch, true) {
            return false;
        }
        while c.len - c.pos < 2 {
            if !c.fill() {
                return false;
            }
        }
        c.pos += 2;
        if n == 0 {
            return true;
        }
    }
}

// ------------------------------------------------------------------ requests
struct Req {
    method: String,
    container: String,
    key: String, // "container/name", "" without a name
    q: HashMap<String, String>,
    h: HashMap<String, String>,
    target: String,
    close: bool,
}
fn unpct(s: &str, plus: bool) -> String {
    let b = s.as_bytes();
    let mut o = Vec::with_capacity(b.len());
    let mut i = 0;
    while i < b.len() {
        if b[i] == b'%' && i + 2 < b.len() + 0 && i + 2 <= b.len() - 1 {
            if let Ok(v) = u8::from_str_radix(&s[i + 1..i + 3], 16) {
                o.push(v);
                i += 3;
                continue;
            }
        }
        o.push(if plus && b[i] == b'+' { b' ' } else { b[i] });
        i += 1;
    }
    String::from_utf8_lossy(&o).into_owned()
}
fn xml(s: &str) -> String {
    if !s.contains(['&', '<', '>', '"']) {
        return s.to_string();
    }
    s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn parse(head: &str) -> Option<Req> {
    let mut lines = head.split("\r\n");
    let mut rl = lines.next()?.split(' ');
    let (method, target, version) = (rl.next()?, rl.next()?, rl.next()?);
    let mut h = HashMap::with_capacity(24);
    for l in lines {
        if let Some((k, v)) = l.split_once(':') {
            h.insert(k.to_ascii_lowercase(), v.trim().to_string());
        }
    }
    let t = match target.find("://") {
        // absolute form, as through a proxy
        Some(i) => match target[i + 3..].find('/') {
            Some(j) => &target[i + 3 + j..],
            None => "/",
        },
        None => target,
    };
    let (path, query) = t.split_once('?').unwrap_or((t, ""));
    let mut q = HashMap::new();
    for kv in query.split('&').filter(|x| !x.is_empty()) {
        let (k, v) = kv.split_once('=').unwrap_or((kv, ""));
        q.insert(unpct(k, true), unpct(v, true));
    }
    // /account/container/name, as at an emulator
    let mut p = path.trim_start_matches('/').splitn(3, '/');
    let first = p.next().unwrap_or("");
    let container = unpct(p.next().unwrap_or(""), false);
    let name = unpct(p.next().unwrap_or(""), false);
    let key = if name.is_empty() { String::new() } else { format!("{container}/{name}") };
    let close = h.get("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
        || (version == "HTTP/1.0" && !h.contains_key("connection"));
    let _ = first;
    Some(Req { method: method.into(), container, key, q, h, target: target.into(), close })
}

struct Res {
    code: u16,
    err: &'static str,
    head: String,
    body: Vec<u8>,
    len: Option<u64>, // Content-Length of a HEAD answer
    file: Vec<u64>,
}
impl Res {
    fn new(code: u16) -> Res {
        Res { code, err: "", head: String::new(), body: vec![], len: None, file: vec![] }
    }
    fn err(code: u16, e: &'static str) -> Res {
        let mut r = Res::new(code);
        r.err = e;
        r
    }
}
fn reason(c: u16) -> &'static str {
    match c {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        501 => "Not Implemented",
        503 => "Server Busy",
        _ => "Status",
    }
}
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn props(b: &Blob) -> String {
    let mut s = format!(
        "ETag: \"0x{:X}\"\r\nLast-Modified: {}\r\nContent-Type: {}\r\nx-ms-blob-type: BlockBlob\r\n\
         x-ms-lease-status: unlocked\r\nx-ms-lease-state: available\r\nx-ms-server-encrypted: true\r\n\
         Accept-Ranges: bytes\r\nx-ms-creation-time: {}\r\n",
        b.etag,
        http_date(b.mtime),
        if b.ctype.is_empty() { "application/octet-stream" } else { &b.ctype },
        http_date(b.mtime)
    );
    if !b.md5.is_empty() {
        s += &format!("Content-MD5: {}\r\n", b.md5);
    }
    s += &format!(
        "x-ms-access-tier: {}\r\n",
        if b.tier.is_empty() { "Hot" } else { &b.tier }
    );
    if b.tier.is_empty() {
        s += "x-ms-access-tier-inferred: true\r\n";
    }
    for (k, v) in &b.meta {
        s += &format!("x-ms-meta-{k}: {v}\r\n");
    }
    s
}

fn list(k: &Sink, r: &Req) -> Res {
    let g = |n: &str| r.q.get(n).map(String::as_str).unwrap_or("");
    let (prefix, delim, marker) = (g("prefix"), g("delimiter"), g("marker"));
    let max: usize = g("maxresults").parse().unwrap_or(5000).clamp(1, 5000);
    let with_meta = g("include").contains("metadata");
    let base = format!("{}/", r.container);
    let cut = base.len();
    let full = format!("{base}{prefix}");
    let mut out = String::with_capacity(1 << 16);
    out += &format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{}\">",
        xml(&r.container)
    );
    out += &format!("<Prefix>{}</Prefix><Marker>{}</Marker><MaxResults>{max}</MaxResults>", xml(prefix), xml(marker));
    if !delim.is_empty() {
        out += &format!("<Delimiter>{}</Delimiter>", xml(delim));
    }
    out += "<Blobs>";
    let st = k.st.lock().unwrap();
    let mut from = if marker.is_empty() { full.clone() } else { format!("{base}{marker}") };
    let (mut n, mut next) = (0, String::new());
    'pages: loop {
        let mut jump: Option<String> = None;
        for (key, b) in st.blobs.range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded)) {
            if !key.starts_with(&full) {
                break;
            }
            let name = &key[cut..];
            if n == max {
                next = name.to_string();
                break 'pages;
            }
            n += 1;
            if !delim.is_empty() {
                if let Some(i) = name[prefix.len()..].find(delim) {
                    let p = &name[..prefix.len() + i + delim.len()];
                    out += &format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", xml(p));
                    jump = Some(format!("{base}{p}\u{10ffff}"));
                    break;
                }
            }
            let date = http_date(b.mtime);
            out += &format!(
                "<Blob><Name>{}</Name><Properties><Creation-Time>{date}</Creation-Time>\
                 <Last-Modified>{date}</Last-Modified><Etag>0x{:X}</Etag><Content-Length>{}</Content-Length>\
                 <Content-Type>{}</Content-Type><Content-Encoding /><Content-Language /><Content-MD5>{}</Content-MD5>\
                 <Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>{}</AccessTier>\
                 <AccessTierInferred>{}</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>\
                 <LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>",
                xml(name),
                b.etag,
                b.size,
                xml(if b.ctype.is_empty() { "application/octet-stream" } else { &b.ctype }),
                b.md5,
                if b.tier.is_empty() { "Hot" } else { &b.tier },
                b.tier.is_empty()
            );
            if with_meta {
                out += "<Metadata>";
                for (k, v) in &b.meta {
                    out += &format!("<{k}>{}</{k}>", xml(v));
                }
                out += "</Metadata>";
            }
            out += "</Blob>";
        }
        match jump {
            Some(j) => from = j,
            None => break,
        }
    }
    drop(st);
    out += "</Blobs>";
    out += &if next.is_empty() { "<NextMarker />".into() } else { format!("<NextMarker>{}</NextMarker>", xml(&next)) };
    out += "</EnumerationResults>";
    let mut res = Res::new(200);
    res.head = "Content-Type: application/xml\r\n".into();
    res.body = out.into_bytes();
    res
}

/// The account's containers: those that were made since the start or the last reset.
fn list_containers(k: &Sink, r: &Req) -> Res {
    let prefix = r.q.get("prefix").map(String::as_str).unwrap_or("");
    let mut out = String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>");
    out += &format!("<Prefix>{}</Prefix><Containers>", xml(prefix));
    for (name, made) in k.st.lock().unwrap().containers.iter().filter(|(name, _)| name.starts_with(prefix)) {
        out += &format!(
            "<Container><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>\"0x1\"</Etag>\
             <LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties></Container>",
            xml(name),
            http_date(*made)
        );
    }
    out += "</Containers><NextMarker /></EnumerationResults>";
    let mut res = Res::new(200);
    res.head = "Content-Type: application/xml\r\n".into();
    res.body = out.into_bytes();
    res
}

fn control(k: &Sink, r: &Req) -> Res {
    let mut res = Res::new(200);
    res.head = "Content-Type: text/plain\r\n".into();
    let t = r.target.trim_start_matches("/_sink/");
    if t.starts_with("stats") {
        let mut s = String::from("{");
        for (i, n) in OPS.iter().enumerate() {
            let v = k.ops[i].load(Relaxed);
            if v > 0 {
                s += &format!("\"{n}\":{v},");
            }
        }
        for (c, n) in k.status.lock().unwrap().iter() {
            s += &format!("\"status{c}\":{n},");
        }
        let (f, l) = (k.first.load(Relaxed), k.last.load(Relaxed));
        let secs = if f == u64::MAX { 0.0 } else { (l - f + 1) as f64 / 100.0 };
        let st = k.st.lock().unwrap();
        s += &format!(
            "\"bodyBytes\":{},\"bodySeconds\":{:.2},\"blobs\":{},\"blobBytes\":{},\"connections\":{},\
             \"openMax\":{},\"inflightMax\":{}}}\n",
            k.body_in.load(Relaxed),
            secs,
            st.blobs.len(),
            st.blobs.values().map(|b| b.size).sum::<u64>(),
            k.conns.load(Relaxed),
            k.open_max.load(Relaxed),
            k.inflight_max.load(Relaxed)
        );
        res.body = s.into_bytes();
    } else if t.starts_with("rate") {
        let ms: u64 = r.q.get("ms").and_then(|v| v.parse().ok()).unwrap_or(1000);
        let per = (ms / 10).max(1);
        let (f, l) = (k.first.load(Relaxed), k.last.load(Relaxed));
        let mut s = String::new();
        if f != u64::MAX {
            let mut i = f;
            while i <= l {
                let n: u64 = (i..i + per).map(|j| k.rate[j as usize & (BUCKETS - 1)].load(Relaxed)).sum();
                s += &format!("{n}\n");
                i += per;
            }
        }
        res.body = s.into_bytes();
    } else if t.starts_with("manifest") {
        let st = k.st.lock().unwrap();
        let mut s = String::new();
        for (n, b) in &st.blobs {
            let sha = b.meta.iter().find(|(k, _)| k.contains("sha256")).map(|(_, v)| v.as_str());
            s += &format!("{:016x} {} {} {}\n", b.crc, b.size, sha.unwrap_or("-"), n);
        }
        res.body = s.into_bytes();
    } else if t.starts_with("reset") {
        let mut st = k.st.lock().unwrap();
        *st = State::default();
        for a in &k.ops {
            a.store(0, Relaxed);
        }
        for a in &k.rate {
            a.store(0, Relaxed);
        }
        k.status.lock().unwrap().clear();
        k.body_in.store(0, Relaxed);
        k.conns.store(0, Relaxed);
        k.first.store(u64::MAX, Relaxed);
        k.last.store(0, Relaxed);
        k.open_max.store(0, Relaxed);
        k.inflight_max.store(0, Relaxed);
        k.reqno.store(0, Relaxed);
    } else if t.starts_with("stored") {
        let prefix = format!("{}/", r.q.get("container").map(String::as_str).unwrap_or(""));
        let st = k.st.lock().unwrap();
        let held = st.blobs.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let (files, bytes) = held.fold((0u64, 0u64), |(n, size), (_, b)| (n + 1, size + b.size));
        res.body = format!("{{\"files\":{files},\"bytes\":{bytes}}}\n").into_bytes();
    } else if t.starts_with("empty") {
        let container = r.q.get("container").cloned().unwrap_or_default();
        let prefix = format!("{container}/");
        let mut st = k.st.lock().unwrap();
        st.blobs.retain(|key, _| !key.starts_with(&prefix));
        st.uncommitted.retain(|key, _| !key.starts_with(&prefix));
        st.containers.insert(container, now());
    } else if t.starts_with("quit") {
        std::process::exit(0);
    } else {
        return Res::err(404, "ResourceNotFound");
    }
    res
}

fn meta_of(r: &Req) -> Vec<(String, String)> {
    let mut m: Vec<_> = r
        .h
        .iter()
        .filter_map(|(k, v)| k.strip_prefix("x-ms-meta-").map(|k| (k.to_string(), v.clone())))
        .collect();
    m.sort();
    m
}

/// Acts on a request whose body has been taken.
fn act(k: &Sink, r: &Req, opn: usize, t: Taker, file: u64) -> Res {
    let crc = t.crc.unwrap_or(0);
    let size = t.n;
    if let Some(m) = t.md5 {
        if b64(&m.finish()) != r.h["content-md5"] {
            return Res::err(400, "Md5Mismatch");
        }
    }
    if k.o.verify {
        if let Some(want) = r.h.get("x-ms-content-crc64") {
            if b64(&crc.to_le_bytes()) != *want {
                return Res::err(400, "Crc64Mismatch");
            }
        }
    }
    let seq = || k.seq.fetch_add(1, Relaxed) + 0x8DE_0000_0000_0000;
    let h = |n: &str| r.h.get(n).cloned().unwrap_or_default();
    let cond = |st: &State| -> Option<Res> {
        let cur = st.blobs.get(&r.key);
        if let Some(v) = r.h.get("if-none-match") {
            if v == "*" && cur.is_some() {
                return Some(Res::err(409, "BlobAlreadyExists"));
            }
        }
        if let Some(v) = r.h.get("if-match") {
            let tag = cur.map(|b| format!("\"0x{:X}\"", b.etag));
            if v != "*" && tag.as_deref() != Some(v) || cur.is_none() {
                return Some(Res::err(412, "ConditionNotMet"));
            }
        }
        if cur.is_some_and(|b| b.tier.eq_ignore_ascii_case("archive")) && k.o.store.is_some() {
            return Some(Res::err(409, "BlobArchived"));
        }
        None
    };
    let wrote = |b: &Blob| -> Res {
        let mut res = Res::new(201);
        res.head = format!(
            "ETag: \"0x{:X}\"\r\nLast-Modified: {}\r\nx-ms-request-server-encrypted: true\r\n",
            b.etag,
            http_date(b.mtime)
        );
        res
    };
    match OPS[opn] {
        "PutBlob" => {
            let ty = h("x-ms-blob-type");
            if ty != "BlockBlob" {
                return Res::err(400, "InvalidHeaderValue");
            }
            let b = Blob {
                size,
                etag: seq(),
                mtime: now(),
                ctype: {
                    let c = h("x-ms-blob-content-type");
                    if c.is_empty() { h("content-type") } else { c }
                },
                md5: {
                    let c = h("x-ms-blob-content-md5");
                    if c.is_empty() { h("content-md5") } else { c }
                },
                tier: h("x-ms-access-tier"),
                meta: meta_of(r),
                blocks: vec![],
                crc,
                files: if file > 0 { vec![file] } else { vec![] },
            };
            let mut res = wrote(&b);
            if k.o.digest {
                res.head += &format!("x-ms-content-crc64: {}\r\n", b64(&crc.to_le_bytes()));
            }
            let mut st = k.st.lock().unwrap();
            if let Some(e) = cond(&st) {
                return e;
            }
            st.uncommitted.remove(&r.key);
            st.blobs.insert(r.key.clone(), b);
            res
        }
        "PutBlock" => {
            let id = r.q.get("blockid").cloned().unwrap_or_default();
            if id.is_empty() {
                return Res::err(400, "InvalidQueryParameterValue");
            }
            let mut st = k.st.lock().unwrap();
            let u = st.uncommitted.entry(r.key.clone()).or_default();
            if u.keys().next().is_some_and(|o| o.len() != id.len()) {
                return Res::err(400, "InvalidBlobOrBlock");
            }
            u.insert(id.clone(), Block { id, size, crc, file });
            let mut res = Res::new(201);
            if k.o.digest {
                res.head += &format!("x-ms-content-crc64: {}\r\n", b64(&crc.to_le_bytes()));
            }
            res.head += "x-ms-request-server-encrypted: true\r\n";
            res
        }
        "PutBlockList" => {
            let text = String::from_utf8_lossy(t.mem.as_deref().unwrap_or(b"")).into_owned();
            let mut st = k.st.lock().unwrap();
            if let Some(e) = cond(&st) {
                return e;
            }
            let u = st.uncommitted.get(&r.key).cloned().unwrap_or_default();
            let old = st.blobs.get(&r.key).map(|b| b.blocks.clone()).unwrap_or_default();
            let mut blocks = vec![];
            let mut rest = text.as_str();
            while let Some(i) = rest.find('<') {
                rest = &rest[i + 1..];
                let Some(e) = rest.find('>') else { break };
                let tag = &rest[..e];
                rest = &rest[e + 1..];
                if !matches!(tag, "Latest" | "Committed" | "Uncommitted") {
                    continue;
                }
                let Some(e) = rest.find('<') else { break };
                let id = rest[..e].trim();
                let committed = || old.iter().find(|b| b.id == id).cloned();
                let b = match tag {
                    "Committed" => committed(),
                    "Uncommitted" => u.get(id).cloned(),
                    _ => u.get(id).cloned().or_else(committed),
                };
                match b {
                    Some(b) => blocks.push(b),
                    None => return Res::err(400, "InvalidBlockList"),
                }
            }
            if blocks.len() > 50_000 {
                return Res::err(409, "BlockCountExceedsLimit");
            }
            let mut b = Blob {
                size: blocks.iter().map(|b| b.size).sum(),
                etag: seq(),
                mtime: now(),
                ctype: h("x-ms-blob-content-type"),
                md5: h("x-ms-blob-content-md5"),
                tier: h("x-ms-access-tier"),
                meta: meta_of(r),
                crc: 0,
                files: blocks.iter().map(|b| b.file).filter(|f| *f > 0).collect(),
                blocks,
            };
            b.crc = b.blocks.iter().fold(0, |a, x| crc64_combine(a, x.crc, x.size));
            let res = wrote(&b);
            st.uncommitted.remove(&r.key);
            st.blobs.insert(r.key.clone(), b);
            res
        }
        "GetBlockList" => {
            let kind = r.q.get("blocklisttype").map(String::as_str).unwrap_or("committed");
            let st = k.st.lock().unwrap();
            let (b, u) = (st.blobs.get(&r.key), st.uncommitted.get(&r.key));
            if b.is_none() && u.is_none() {
                return Res::err(404, "BlobNotFound");
            }
            let mut s = String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
            let one = |b: &Block| format!("<Block><Name>{}</Name><Size>{}</Size></Block>", b.id, b.size);
            if kind != "uncommitted" {
                s += "<CommittedBlocks>";
                b.iter().for_each(|b| b.blocks.iter().for_each(|x| s += &one(x)));
                s += "</CommittedBlocks>";
            }
            if kind != "committed" {
                s += "<UncommittedBlocks>";
                u.iter().for_each(|u| u.values().for_each(|x| s += &one(x)));
                s += "</UncommittedBlocks>";
            }
            s += "</BlockList>";
            let mut res = Res::new(200);
            res.head = "Content-Type: application/xml\r\n".into();
            if let Some(b) = b {
                res.head += &format!("ETag: \"0x{:X}\"\r\nx-ms-blob-content-length: {}\r\n", b.etag, b.size);
            }
            res.body = s.into_bytes();
            res
        }
        "HeadBlob" | "GetBlob" => {
            let st = k.st.lock().unwrap();
            let Some(b) = st.blobs.get(&r.key) else { return Res::err(404, "BlobNotFound") };
            let mut res = Res::new(200);
            res.head = props(b);
            if OPS[opn] == "HeadBlob" {
                res.len = Some(b.size);
            } else {
                if k.o.store.is_none() && b.size > 0 {
                    return Res::err(501, "NotStored");
                }
                res.len = Some(b.size);
                res.file = b.files.clone();
            }
            res
        }
        "List" => list(k, r),
        "ListContainers" => list_containers(k, r),
        "PutContainer" => {
            let mut st = k.st.lock().unwrap();
            if st.containers.contains_key(&r.container) {
                return Res::err(409, "ContainerAlreadyExists");
            }
            st.containers.insert(r.container.clone(), now());
            let mut res = Res::new(201);
            res.head = format!("ETag: \"0x1\"\r\nLast-Modified: {}\r\n", http_date(now()));
            res
        }
        "GetContainer" => {
            let mut res = Res::new(200);
            res.head = format!(
                "ETag: \"0x1\"\r\nLast-Modified: {}\r\nx-ms-lease-status: unlocked\r\nx-ms-lease-state: available\r\n",
                http_date(now())
            );
            res
        }
        "SetMetadata" | "SetTier" | "SetProperties" => {
            let mut st = k.st.lock().unwrap();
            let Some(b) = st.blobs.get_mut(&r.key) else { return Res::err(404, "BlobNotFound") };
            match OPS[opn] {
                "SetMetadata" => b.meta = meta_of(r),
                "SetTier" => b.tier = h("x-ms-access-tier"),
                _ => {
                    b.ctype = h("x-ms-blob-content-type");
                    b.md5 = h("x-ms-blob-content-md5");
                }
            }
            b.etag = seq();
            b.mtime = now();
            let mut res = wrote(b);
            res.code = 200;
            res
        }
        "Delete" => {
            let mut st = k.st.lock().unwrap();
            match st.blobs.remove(&r.key) {
                Some(_) => Res::new(202),
                None => Res::err(404, "BlobNotFound"),
            }
        }
        _ => Res::err(501, "NotImplemented"),
    }
}

fn classify(r: &Req) -> usize {
    let comp = r.q.get("comp").map(String::as_str).unwrap_or("");
    let is_container = r.q.get("restype").map(String::as_str) == Some("container");
    op(match (r.method.as_str(), comp) {
        ("GET", "list") if r.container.is_empty() => "ListContainers",
        ("GET", "list") => "List",
        ("PUT", "") if is_container => "PutContainer",
        ("GET" | "HEAD", _) if is_container || r.key.is_empty() => "GetContainer",
        (_, _) if r.key.is_empty() => "Other",
        ("PUT", "") if r.h.contains_key("x-ms-copy-source") => "Other",
        ("PUT", "") => "PutBlob",
        ("PUT", "block") => "PutBlock",
        ("PUT", "blocklist") => "PutBlockList",
        ("GET", "blocklist") => "GetBlockList",
        ("PUT", "metadata") => "SetMetadata",
        ("PUT", "properties") => "SetProperties",
        ("PUT", "tier") => "SetTier",
        ("HEAD", _) => "HeadBlob",
        ("GET", "") => "GetBlob",
        ("DELETE", _) => "Delete",
        _ => "Other",
    })
}

fn serve(k: &Sink, s: TcpStream, ctx: Option<&tls::Ctx>) {
    let _ = s.set_nodelay(true);
    if k.o.rcvbuf > 0 {
        let v = k.o.rcvbuf;
        unsafe { setsockopt(s.as_raw_fd(), 1, 8, &v as *const _ as *const u8, 4) };
    }
    let t = match ctx {
        Some(x) => match x.accept(s.as_raw_fd()) {
            Some(t) => Some(t),
            None => return,
        },
        None => None,
    };
    let mut c = Conn { s, t, buf: vec![0; 64 << 10], pos: 0, len: 0 };
    let mut scratch = vec![];
    let mut out = Vec::with_capacity(1024);
    let faults = k.o.p503 + k.o.preset + k.o.plost + k.o.pmd5 + k.o.pstall > 0.0;
    'conn: loop {
        // the head
        let mut seen = 0;
        let head_end = loop {
            let b = &c.buf[c.pos..c.len];
            let from = seen.min(b.len());
            if let Some(i) = b[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                break c.pos + from + i;
            }
            seen = b.len().saturating_sub(3);
            if !c.fill() {
                return;
            }
        };
        let head = String::from_utf8_lossy(&c.buf[c.pos..head_end]).into_owned();
        c.pos = head_end + 4;
        let Some(r) = parse(&head) else { return };
        let began = Instant::now();
        let infl = k.inflight.fetch_add(1, Relaxed) + 1;
        k.inflight_max.fetch_max(infl, Relaxed);
        struct Dec<'a>(&'a AtomicI64);
        impl Drop for Dec<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        let _dec = Dec(&k.inflight);
        let is_control = r.target.starts_with("/_sink/");
        let opn = if is_control { op("Other") } else { classify(&r) };
        let reqno = k.reqno.fetch_add(1, Relaxed);
        let mut g = SplitMix64(k.o.seed.wrapping_mul(0x9E37_79B9) ^ (reqno << 20) ^ 0x5DEE_CE66);
        let mut hit = |p: f64| faults && !is_control && p > 0.0 && g.next_f64() < p;
        let (f503, freset, flost, fmd5, fstall) =
            (hit(k.o.p503), hit(k.o.preset), hit(k.o.plost), hit(k.o.pmd5), hit(k.o.pstall));
        let length: Option<u64> = r.h.get("content-length").and_then(|v| v.parse().ok());
        let chunked = r.h.get("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let is_put = r.method == "PUT";
        let mut close = r.close;
        let mut early: Option<Res> = None;
        if is_put && chunked && !k.o.chunked || is_put && length.is_none() && !chunked {
            early = Some(Res::err(411, "MissingContentLengthHeader"));
            close = true;
        } else if f503 && k.o.early {
            early = Some(Res::err(503, "ServerBusy"));
            close = true;
        }
        let res = match early {
            Some(e) => e,
            None => {
                if r.h.get("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
                    k.ops[op("Expect100")].fetch_add(1, Relaxed);
                    if !c.write(b"HTTP/1.1 100 Continue\r\n\r\n") {
                        return;
                    }
                }
                let data = matches!(OPS[opn], "PutBlob" | "PutBlock");
                let file = if data && k.o.store.is_some() { k.seq.fetch_add(1, Relaxed) + 1 } else { 0 };
                let mut t = Taker {
                    md5: (k.o.verify && data && r.h.contains_key("content-md5")).then(Md5::new),
                    crc: (data && (k.o.digest || k.o.verify && r.h.contains_key("x-ms-content-crc64")))
                        .then_some(0),
                    file: (file > 0).then(|| {
                        let p = format!("{}/{file}", k.o.store.as_deref().unwrap());
                        std::fs::File::create(p).expect("store: cannot create")
                    }),
                    mem: (!data).then(Vec::new),
                    n: 0,
                };
                let n = length.unwrap_or(0);
                if freset && is_put {
                    k.ops[op("Injected")].fetch_add(1, Relaxed);
                    body(k, &mut c, &mut t, n / 2, &mut scratch, false);
                    c.rst();
                    return;
                }
                let ok = if chunked {
                    body_chunked(k, &mut c, &mut t, &mut scratch)
                } else {
                    body(k, &mut c, &mut t, n, &mut scratch, data)
                };
                if !ok {
                    break 'conn;
                }
                if is_control {
                    control(k, &r)
                } else if f503 {
                    Res::err(503, "ServerBusy")
                } else if fmd5 && data {
                    Res::err(400, "Md5Mismatch")
                } else {
                    let x = act(k, &r, opn, t, file);
                    if flost && is_put {
                        k.ops[op("Injected")].fetch_add(1, Relaxed);
                        c.rst();
                        return;
                    }
                    x
                }
            }
        };
        if !is_control {
            k.ops[opn].fetch_add(1, Relaxed);
            *k.status.lock().unwrap().entry(res.code).or_default() += 1;
            if f503 || fmd5 {
                k.ops[op("Injected")].fetch_add(1, Relaxed);
            }
            if !k.o.delay.is_zero() {
                std::thread::sleep(k.o.delay);
            }
            if fstall {
                k.ops[op("Injected")].fetch_add(1, Relaxed);
                std::thread::sleep(k.o.stall);
            }
        }
        // the answer
        let mut res = res;
        if !res.err.is_empty() {
            res.head += &format!("x-ms-error-code: {}\r\nContent-Type: application/xml\r\n", res.err);
            if r.method != "HEAD" {
                res.body = format!(
                    "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}\nRequestId:{:08x}</Message></Error>",
                    res.err, res.err, reqno
                )
                .into_bytes();
            }
            if res.code == 503 {
                if let Some(s) = k.o.retry_after {
                    res.head += &format!("Retry-After: {s}\r\n");
                }
            }
        }
        out.clear();
        let _ = write!(
            out,
            "HTTP/1.1 {} {}\r\nServer: nullsink\r\nx-ms-version: {}\r\nx-ms-request-id: {:08x}-0000-0000-0000-{:012x}\r\nDate: {}\r\n",
            res.code,
            reason(res.code),
            r.h.get("x-ms-version").map(String::as_str).unwrap_or("2021-12-02"),
            reqno as u32,
            reqno,
            http_date(now())
        );
        if let Some(id) = r.h.get("x-ms-client-request-id") {
            let _ = write!(out, "x-ms-client-request-id: {id}\r\n");
        }
        let _ = write!(
            out,
            "{}Content-Length: {}\r\n{}\r\n",
            res.head,
            res.len.unwrap_or(res.body.len() as u64),
            if close { "Connection: close\r\n" } else { "" }
        );
        if r.method != "HEAD" {
            out.extend_from_slice(&res.body);
        }
        if !c.write(&out) {
            break 'conn;
        }
        if r.method != "HEAD" {
            for f in &res.file {
                let p = format!("{}/{f}", k.o.store.as_deref().unwrap());
                let d = std::fs::read(p).unwrap_or_default();
                if !c.write(&d) {
                    break 'conn;
                }
            }
        }
        if let Some(l) = &k.o.log {
            let _ = writeln!(
                l.lock().unwrap(),
                "{:.3} {} {} {} {} {:.1}ms {} {}",
                k.start.elapsed().as_secs_f64(),
                OPS[opn],
                res.code,
                length.unwrap_or(0),
                c.s.peer_addr().map(|a| a.port()).unwrap_or(0),
                began.elapsed().as_secs_f64() * 1e3,
                r.method,
                r.target
            );
        }
        if close {
            break;
        }
    }
}

fn main() {
    let o = options();
    let ctx = match (&o.cert, &o.key) {
        (Some(c), Some(key)) => Some(tls::Ctx::new(c, key).unwrap_or_else(|| {
            die("no TLS: build with --features tls, and give a readable certificate and key (PEM)")
        })),
        _ => None,
    };
    let l = TcpListener::bind(&o.addr).unwrap_or_else(|e| die(&format!("{}: {e}", o.addr)));
    let control = o.control.as_ref().map(|a| TcpListener::bind(a).unwrap_or_else(|e| die(&format!("{a}: {e}"))));
    let also = control.as_ref().map(|c| format!(", control on {}", c.local_addr().unwrap())).unwrap_or_default();
    eprintln!("nullsink: listening on {}{also}", l.local_addr().unwrap());
    let k = Arc::new(Sink {
        o,
        st: Mutex::new(State::default()),
        seq: AtomicU64::new(1),
        reqno: AtomicU64::new(0),
        ops: std::array::from_fn(|_| AtomicU64::new(0)),
        status: Mutex::new(BTreeMap::new()),
        body_in: AtomicU64::new(0),
        conns: AtomicU64::new(0),
        open: AtomicI64::new(0),
        open_max: AtomicI64::new(0),
        inflight: AtomicI64::new(0),
        inflight_max: AtomicI64::new(0),
        start: Instant::now(),
        first: AtomicU64::new(u64::MAX),
        last: AtomicU64::new(0),
        rate: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        bucket: Mutex::new(0.0),
    });
    if let Some(c) = control {
        let k = k.clone();
        std::thread::spawn(move || {
            for s in c.incoming().flatten() {
                let k = k.clone();
                std::thread::spawn(move || serve(&k, s, None));
            }
        });
    }
    let ctx = Arc::new(ctx);
    for s in l.incoming() {
        let Ok(s) = s else { continue };
        let (k, ctx) = (k.clone(), ctx.clone());
        k.conns.fetch_add(1, Relaxed);
        let n = k.open.fetch_add(1, Relaxed) + 1;
        k.open_max.fetch_max(n, Relaxed);
        let _ = std::thread::Builder::new().stack_size(512 << 10).spawn(move || {
            serve(&k, s, ctx.as_ref().as_ref());
            k.open.fetch_sub(1, Relaxed);
        });
    }
    let _ = hex(&[]);
}
