//! What the process has used so far, as the operating system counts it.

/// CPU seconds of all threads, user and system; `None` where the system does not tell.
pub fn cpu_seconds() -> Option<f64> {
    // Fields 14 and 15 of proc(5) stat, counted in 1/100 s on every Linux of today. The second
    // field is the name in parentheses and may hold spaces, so counting begins behind it.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit_once(')')?.1;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_cpu_time() {
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
    }
}
