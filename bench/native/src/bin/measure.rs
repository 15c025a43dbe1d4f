//! measure: runs one program and writes down what it cost, as the kernel accounts for it.
//!
//! A program of its own, and a small one, because the peak that wait4(2) tells is that of the largest process below: a
//! child that is forked from a large parent would begin with the parent's pages on its account.

use std::ffi::c_int;
use std::process::{Command, Stdio};
use std::time::Instant;

const HELP: &str = "measure --report FILE [--discard-output] -- PROGRAM [ARGUMENTS]
  runs PROGRAM and writes {\"seconds\",\"cpuSeconds\",\"peakKib\",\"status\"} to FILE: wall time, user and system time of it and
  all it waited for, the largest resident set of any of them, and its exit code (128 + the signal that ended it)";

fn die(m: &str) -> ! {
    eprintln!("measure: {m}");
    std::process::exit(2)
}

/// struct rusage of Linux on 64-bit machines, getrusage(2).
#[repr(C)]
#[derive(Default)]
struct Usage {
    user: [i64; 2],
    system: [i64; 2],
    peak_kib: i64,
    rest: [i64; 13],
}
extern "C" {
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Usage) -> c_int;
}

fn seconds(t: [i64; 2]) -> f64 {
    t[0] as f64 + t[1] as f64 / 1e6
}

fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let cut = a.iter().position(|x| x == "--").unwrap_or_else(|| die(HELP));
    let (ours, program) = (&a[..cut], &a[cut + 1..]);
    let report = ours.iter().position(|x| x == "--report").and_then(|i| ours.get(i + 1)).unwrap_or_else(|| die(HELP));
    let mut command = Command::new(program.first().unwrap_or_else(|| die(HELP)));
    command.args(&program[1..]);
    if ours.iter().any(|x| x == "--discard-output") {
        command.stdout(Stdio::null());
    }
    let began = Instant::now();
    let child = command.spawn().unwrap_or_else(|e| die(&format!("{}: {e}", program[0])));
    let (mut status, mut usage) = (0, Usage::default());
    loop {
        let pid = unsafe { wait4(child.id() as c_int, &mut status, 0, &mut usage) };
        if pid == child.id() as c_int {
            break;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            die("wait4 failed");
        }
    }
    let took = began.elapsed().as_secs_f64();
    let code = if status & 0x7f == 0 { (status >> 8) & 0xff } else { 128 + (status & 0x7f) };
    let text = format!(
        "{{\"seconds\":{took:.4},\"cpuSeconds\":{:.4},\"peakKib\":{},\"status\":{code}}}\n",
        seconds(usage.user) + seconds(usage.system),
        usage.peak_kib
    );
    std::fs::write(report, text).unwrap_or_else(|e| die(&format!("{report}: {e}")));
    std::process::exit(code)
}
