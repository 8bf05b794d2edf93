//! Plots as SVG, drawn with the colours of the page around them: stacked bars, and lines over a number.

use std::fmt::Write;

/// Width of every plot.
const WIDTH: f64 = 760.0;
/// Where bars and lines begin.
const LEFT: f64 = 130.0;
/// What is kept free on the right, for the numbers of bars and the names of lines.
const RIGHT: f64 = 110.0;
const BAR: f64 = 20.0;
const ROW: f64 = 30.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 34.0;
/// Colours that the page has, `.c0` and so on.
const COLOURS: usize = 6;

/// One bar: a name, and parts that stand behind each other.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) parts: Vec<f64>,
}

/// One line: a name, and points from left to right.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Text that is safe in HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Bars below each other; `parts` names the parts, where there are several.
pub(crate) fn bars(title: &str, parts: &[&str], bars: &[Bar]) -> String {
    let sum = |bar: &Bar| bar.parts.iter().sum::<f64>();
    let longest = bars.iter().map(sum).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let mut svg = open(title, bars.len() as f64 * ROW + 8.0);
    for (index, bar) in bars.iter().enumerate() {
        let (y, mut x) = (index as f64 * ROW + 4.0, LEFT);
        text(&mut svg, LEFT - 8.0, y + 15.0, "end", &bar.name);
        for (part, value) in bar.parts.iter().enumerate() {
            let (class, width) = (part % COLOURS, value * scale);
            let _ = write!(
                svg,
                r#"<rect class="c{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}"><title>{} {value:.2}</title></rect>"#,
                escape(parts.get(part).copied().unwrap_or_default())
            );
            x += width;
        }
        text(&mut svg, x + 6.0, y + 15.0, "start", &short(sum(bar)));
    }
    svg + "</svg>" + &legend(parts) + "</figure>"
}

/// Lines over a number, with a limit drawn across; whatever is above `top` leaves the picture there.
pub(crate) fn lines(title: &str, axis: &str, limit: f64, top: f64, lines: &[Line]) -> String {
    let farthest =
        lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - MARGIN);
    let x_of = |x: f64| LEFT + x / farthest * (right - LEFT);
    let y_of = |y: f64| bottom - y.min(top) / top * (bottom - 10.0);
    let mut svg = open(title, HEIGHT);
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let (x, y) = (x_of(farthest * share), y_of(top * share));
        let _ = write!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{right}"/>"#);
        text(&mut svg, LEFT - 8.0, y + 4.0, "end", &short(top * share));
        text(&mut svg, x, bottom + 16.0, "middle", &short(farthest * share));
    }
    text(&mut svg, (LEFT + right) / 2.0, bottom + 31.0, "middle", axis);
    let _ = write!(svg, r#"<path class="limit" d="M{LEFT} {:.1}H{right}"/>"#, y_of(limit));
    for (index, line) in lines.iter().enumerate() {
        let class = index % COLOURS;
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
        let _ = write!(svg, r#"<polyline class="l{class}" points="{}"/>"#, points.join(" "));
        if let Some((x, y)) = line.points.last() {
            let _ =
                write!(svg, r#"<circle class="c{class}" cx="{:.1}" cy="{:.1}" r="3"/>"#, x_of(*x), y_of(*y));
        }
    }
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    svg + "</svg>" + &legend(&names) + "</figure>"
}

fn open(title: &str, height: f64) -> String {
    let title = escape(title);
    format!(
        r#"<figure><figcaption>{title}</figcaption><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escape(words));
}

fn legend(names: &[&str]) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let item = |(index, name): (usize, &&str)| {
        format!(
            r#"<li><svg viewBox="0 0 10 10"><rect class="c{}" width="10" height="10"/></svg>{}</li>"#,
            index % COLOURS,
            escape(name)
        )
    };
    format!("<ul class=\"legend\">{}</ul>", names.iter().enumerate().map(item).collect::<String>())
}

/// A number with three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_plot_and_the_others_are_in_proportion() {
        let bar = |name: &str, parts: &[f64]| Bar { name: name.to_owned(), parts: parts.to_vec() };
        let svg = bars("a < b", &["user", "kernel"], &[bar("one", &[10.0, 30.0]), bar("two", &[20.0, 0.0])]);
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        for width in ["130.0\" y=\"4.0\" width=\"130.0", "width=\"390.0", "width=\"260.0"] {
            assert!(svg.contains(width), "{width} in {svg}");
        }
        assert!(svg.contains("<title>kernel 30.00</title>") && svg.contains(">40.0</text>"));
    }

    #[test]
    fn lines_stay_in_the_picture() {
        let line = Line { name: "one".to_owned(), points: vec![(0.0, 0.0), (50.0, 50.0), (100.0, 500.0)] };
        let svg = lines("gaps", "players", 75.0, 100.0, &[line]);
        assert!(svg.contains("points=\"130.0,286.0 390.0,148.0 650.0,10.0\""), "{svg}");
    }
}
