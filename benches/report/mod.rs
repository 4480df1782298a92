//! One way to print figures, for all benches.

/// One figure, the floor beside it, what it is of the floor, and what is to be reached.
pub fn figure(name: &str, figure: &str, floor: &str, ratio: f64, target: &str) {
    println!("{name:<56} {figure:>11}   floor {floor:>11}   ratio {ratio:>6.2}   to reach: {target}");
}

/// How busy the machine was, for whoever reads the figures later.
pub fn load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("  (load average {})", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
}

/// The value below which `share` of them lie.
pub fn quantile(of: &[f64], share: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the list")]
    let place = (share * (sorted.len() - 1) as f64).round() as usize;
    sorted[place]
}
