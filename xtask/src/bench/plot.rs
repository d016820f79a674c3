//! Pictures of what is measured: for each work the additional cost of each peer, in percent on a logarithmic scale.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::peers;
use super::report::Row;

/// Draws one group on one kernel into a file in `folder`, and returns its name. Where there is nobody to compare with, there is no picture.
pub(super) fn draw(group: &str, kernel: &str, rows: &[Row], folder: &Path) -> Result<Option<String>> {
    let peers = peers::in_order(rows);
    if peers.len() < 2 {
        return Ok(None);
    }
    let mut works: Vec<&str> = Vec::new();
    for row in rows {
        if !works.contains(&row.work.as_str()) {
            works.push(&row.work);
        }
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let name = format!("{group}-{kernel}.svg");
    let path = folder.join(&name);
    let bars = works.len() * (peers.len() + 1) + legend(&peers);
    let height = u32::try_from(bars)? * BAR + AROUND;
    let area = SVGBackend::new(&path, (WIDTH, height)).into_drawing_area();
    // What plotters says of a failure borrows from the picture.
    bars_of(&area, &format!("{group}, kernel {kernel}: what enforcement adds, in percent"), (&works, &peers), rows)
        .and_then(|()| area.present().map_err(|error| anyhow!("{error}")))
        .with_context(|| format!("cannot draw `{}`", path.display()))?;
    Ok(Some(name))
}

fn bars_of(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, (works, peers): (&[&str], &[&str]), rows: &[Row]) -> Result<()> {
    let failed = |error: DrawingAreaErrorKind<std::io::Error>| anyhow!("{error}");
    let most = rows.iter().map(percent).fold(10.0_f64, f64::max) * 3.0;
    let lines = (works.len() * (peers.len() + 1)) as f64;
    area.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(30)
        .y_label_area_size(NAMES)
        .build_cartesian_2d((LEAST..most).log_scale(), -(legend(peers) as f64)..lines)
        .map_err(failed)?;
    chart.configure_mesh().disable_y_mesh().y_labels(0).x_label_formatter(&|percent| format!("{percent} %")).draw().map_err(failed)?;
    for (place, peer) in peers.iter().enumerate() {
        let color = COLORS[place % COLORS.len()];
        let bars = works.iter().enumerate().filter_map(|(number, work)| {
            let row = rows.iter().find(|row| row.work == *work && row.peer == *peer)?;
            // The first work stands at the top.
            let top = lines - (number * (peers.len() + 1) + place) as f64 - 0.5;
            Some((row, top))
        });
        let bars: Vec<(&Row, f64)> = bars.collect();
        let shapes = bars.iter().map(|(row, top)| Rectangle::new([(LEAST, *top), (percent(row), top - 0.85)], color.filled()));
        chart.draw_series(shapes).map_err(failed)?.label(*peer).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
        let figures = ("sans-serif", 11).into_font().into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
        let texts = bars.iter().map(|(row, top)| {
            let text = format!("×{:.3}", row.ratio);
            EmptyElement::at((percent(row), top - 0.42)) + Text::new(text, (4, 0), figures.clone())
        });
        chart.draw_series(texts).map_err(failed)?;
    }
    let names = ("sans-serif", 12).into_font().into_text_style(area).pos(Pos::new(HPos::Right, VPos::Center));
    for (number, work) in works.iter().enumerate() {
        let middle = lines - (number * (peers.len() + 1)) as f64 - 0.5 - peers.len() as f64 / 2.0;
        let (x, y) = chart.backend_coord(&(LEAST, middle));
        area.draw(&Text::new((*work).to_owned(), (x - 8, y), names.clone())).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 12))
        .draw()
        .map_err(failed)
}

/// As many bars as the names of the peers take, below all bars.
fn legend(peers: &[&str]) -> usize {
    peers.len() + 2
}

/// What the peer adds, but never less than the scale has.
fn percent(row: &Row) -> f64 {
    ((row.ratio - 1.0) * 100.0).max(LEAST)
}

/// The left end of the scale, in percent.
const LEAST: f64 = 0.01;
const WIDTH: u32 = 860;
/// The height of a bar.
const BAR: u32 = 15;
/// The height of title and scale.
const AROUND: u32 = 90;
/// The width of the works' names.
const NAMES: u32 = 230;
/// Told apart by who sees no red or green, too (Okabe and Ito).
const COLORS: [RGBColor; 5] = [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_bar_for_each_row_and_none_is_drawn_without_others() {
        let row = |peer: &str, enforced| Row::new("exec", "6.12", peer, (100.0, enforced), "instructions").unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(draw("hooks", "6.12", &[row("enforcer", 101.0)], folder.path()).unwrap(), None);
        let name = draw("hooks", "6.12", &[row("enforcer", 101.0), row("ima", 99.0)], folder.path()).unwrap().unwrap();
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains("×1.010") && text.contains("×0.990") && text.contains("exec"));
    }
}
