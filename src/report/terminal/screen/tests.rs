use super::*;

/// A terminal that understands what is sent to it, and breaks and joins its lines as terminals do when they are resized.
#[derive(Debug, Clone)]
struct Fake(Arc<Mutex<Grid>>);

#[derive(Debug)]
struct Grid {
    columns: u16,
    /// Rows, each with whether the terminal itself broke it from the one before.
    rows: Vec<(String, bool)>,
    row: usize,
    column: usize,
    frames: Vec<String>,
}

impl Device for Fake {
    fn columns(&self) -> u16 {
        lock(&self.0).columns
    }
    fn rows(&self) -> u16 {
        24
    }
    fn write(&self, frame: &str) -> io::Result<()> {
        let mut grid = lock(&self.0);
        grid.frames.push(frame.to_owned());
        grid.take(frame);
        Ok(())
    }
}

impl Fake {
    fn new(columns: u16) -> Self {
        let rows = vec![(String::new(), false)];
        Self(Arc::new(Mutex::new(Grid { columns, rows, row: 0, column: 0, frames: Vec::new() })))
    }

    fn say(&self, text: &str) {
        lock(&self.0).take(&text.replace('\n', "\r\n"));
    }

    /// The rows down to the last that has anything on it.
    fn screen(&self) -> Vec<String> {
        let grid = lock(&self.0);
        let mut rows: Vec<String> = grid.rows.iter().map(|(row, _)| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    fn resize(&self, columns: u16) {
        let mut grid = lock(&self.0);
        // The cursor stays behind the last line, and below it there is nothing.
        let end = grid.row + 1;
        assert!(grid.rows.drain(end..).all(|(row, _)| row.is_empty()));
        let mut lines: Vec<String> = Vec::new();
        for (row, broken) in &grid.rows {
            match lines.last_mut().filter(|_| *broken) {
                Some(line) => line.push_str(row),
                None => lines.push(row.clone()),
            }
        }
        let width = usize::from(columns);
        let mut rows = Vec::new();
        for line in lines {
            let letters: Vec<char> = line.trim_end().chars().collect();
            let pieces = letters.chunks(width).map(|piece| piece.iter().collect::<String>());
            let pieces = pieces.enumerate().map(|(i, piece)| (piece, i > 0));
            let before = rows.len();
            rows.extend(pieces);
            if rows.len() == before {
                rows.push((String::new(), false));
            }
        }
        grid.row = rows.len() - 1;
        grid.column = rows[grid.row].0.chars().count();
        (grid.rows, grid.columns) = (rows, columns);
    }
}

impl Grid {
    fn take(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(1),
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['), "{text:?}");
                    let mut number = String::new();
                    while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || *c == ';') {
                        number.push(digit);
                    }
                    let count = number.parse().unwrap_or(1);
                    match chars.next() {
                        Some('A') => self.row = self.row.saturating_sub(count),
                        Some('B') => self.row = (self.row + count).min(self.rows.len() - 1),
                        Some('K') if number == "2" => self.rows[self.row] = (String::new(), false),
                        Some('K') => self.cut(),
                        Some('J') => {
                            self.cut();
                            let row = self.row + 1;
                            self.rows[row..].iter_mut().for_each(|row| *row = (String::new(), false));
                        }
                        Some('m') => {}
                        other => panic!("{other:?} in {text:?}"),
                    }
                }
                c => self.put(c),
            }
        }
    }

    fn cut(&mut self) {
        let column = self.column;
        self.rows[self.row].0 = self.rows[self.row].0.chars().take(column).collect();
    }

    fn down(&mut self, rows: usize) {
        self.row += rows;
        while self.rows.len() <= self.row {
            self.rows.push((String::new(), false));
        }
    }

    fn put(&mut self, c: char) {
        if self.column >= usize::from(self.columns) {
            self.down(1);
            self.column = 0;
            self.rows[self.row] = (String::new(), true);
        }
        let mut letters: Vec<char> = self.rows[self.row].0.chars().collect();
        letters.resize(letters.len().max(self.column + 1), ' ');
        letters[self.column] = c;
        self.rows[self.row].0 = letters.into_iter().collect();
        self.column += 1;
    }
}

fn lines(width: usize, frame: usize) -> Vec<String> {
    (0..4).map(|i| format!("{frame}.{i} {}", "x".repeat(width.saturating_sub(4 + i)))).collect()
}

fn scene(columns: u16) -> (Fake, Screen) {
    let fake = Fake::new(columns);
    fake.say("before\n");
    let screen = Screen::default();
    *lock(&screen.bar) = Some(bar_on(fake.clone()));
    (fake, screen)
}

#[test]
fn frames_take_the_place_of_frames_and_everything_else_stands_above() {
    let (fake, screen) = scene(60);
    for frame in 0..5 {
        screen.show(&lines(57, frame));
        screen.above(|| fake.say(&format!("notice {frame}\n")));
    }
    let mut expected = vec!["before".to_owned()];
    expected.extend((0..5).map(|i| format!("notice {i}")));
    expected.extend(lines(57, 4));
    assert_eq!(fake.screen(), expected);
    screen.show(&[]);
    assert_eq!(fake.screen(), expected[..6], "what is cleared leaves nothing behind");
}

#[test]
fn a_frame_is_one_write_and_clears_no_whole_screen() {
    let (fake, screen) = scene(60);
    screen.show(&lines(57, 0));
    let before = lock(&fake.0).frames.len();
    screen.show(&lines(57, 1));
    let frames = lock(&fake.0).frames.split_off(before);
    assert_eq!(frames.len(), 1);
    assert!(!frames[0].contains("\x1b[2J") && !frames[0].contains("\x1b[?25l"), "{:?}", frames[0]);
}

#[test]
fn an_echoed_interrupt_leaves_nothing_behind() {
    let (fake, screen) = scene(60);
    screen.show(&lines(57, 0));
    fake.say("^C");
    screen.show(&lines(57, 1));
    let mut expected = vec!["before".to_owned()];
    expected.extend(lines(57, 1));
    assert_eq!(fake.screen(), expected);
}

#[test]
fn a_window_made_narrower_or_wider_shows_each_line_once() {
    for widths in [[200, 80, 200], [80, 60, 59], [80, 20, 100], [100, 101, 40]] {
        let (fake, screen) = scene(widths[0]);
        for (frame, width) in widths.into_iter().enumerate() {
            if frame > 0 {
                fake.resize(width);
            }
            screen.show(&lines(usize::from(width) - 3, frame));
            let mut expected = vec!["before".to_owned()];
            expected.extend(lines(usize::from(width) - 3, frame));
            assert_eq!(fake.screen(), expected, "{widths:?}");
        }
    }
}
