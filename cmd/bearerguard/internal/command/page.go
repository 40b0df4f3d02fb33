package command

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A page is what a subcommand prints. Whatever comes from a token or from the
// network goes through [safe] on its way here: a terminal obeys what it is shown.
type page struct {
	text     strings.Builder
	colours  bool
	maxWidth int
}

// newPage returns an empty page. Colours are for a person at a terminal who has
// not asked to be spared (https://no-color.org).
func newPage(p *Program) *page {
	return &page{
		colours:  p.StdoutIsTerminal && p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb",
		maxWidth: 100,
	}
}

// A style is how something is shown where there are colours.
type style string

const (
	plainStyle style = ""
	bold       style = "1"
	dim        style = "2"
	red        style = "1;31"
	green      style = "32"
	yellow     style = "33"
)

func (g *page) styled(s style, text string) string {
	if !g.colours || s == plainStyle || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line prints a line as it is.
func (g *page) line(format string, args ...any) { fmt.Fprintf(&g.text, format+"\n", args...) }

// heading prints a heading, with a blank line before it unless it is the first.
func (g *page) heading(text string) {
	if g.text.Len() > 0 {
		g.line("")
	}
	g.line("%s", g.styled(bold, text))
}

// paragraph prints a text in lines of bearable width, each indented.
func (g *page) paragraph(indent, text string) {
	for i, line := range wrap(safe(text, maxCell), g.maxWidth-utf8.RuneCountInString(indent)) {
		if i == 1 {
			indent = strings.Repeat(" ", utf8.RuneCountInString(indent))
		}
		g.line("%s%s", indent, line)
	}
}

// maxCell is how many bytes of one text are shown.
const maxCell = 1200

// A row is one line of a table: its last cell is wrapped, and further texts stand
// below it.
type row struct {
	cells []string
	style style // of the cell before the last
	below []string
}

// table prints rows in columns.
func (g *page) table(rows []row) {
	widths := map[int]int{}
	for _, r := range rows {
		for column, cell := range r.cells[:len(r.cells)-1] {
			widths[column] = max(widths[column], utf8.RuneCountInString(safe(cell, maxCell)))
		}
	}
	for _, r := range rows {
		left := ""
		indent := 0
		for column, cell := range r.cells[:len(r.cells)-1] {
			cell = safe(cell, maxCell)
			padding := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell)+2)
			if column == len(r.cells)-2 {
				cell = g.styled(r.style, cell)
			}
			left += cell + padding
			indent += widths[column] + 2
		}
		space := strings.Repeat(" ", indent)
		for _, text := range append([]string{r.cells[len(r.cells)-1]}, r.below...) {
			for _, line := range wrap(safe(text, maxCell), g.maxWidth-indent) {
				g.line("%s", strings.TrimRight(left+line, " "))
				left = space
			}
		}
	}
}

// flush writes the page.
func (g *page) flush(w io.Writer) error {
	_, err := io.WriteString(w, g.text.String())
	return err
}

// wrap cuts a text into lines at its spaces. A word that is longer than a line
// stands alone.
func wrap(text string, width int) []string {
	width = max(width, 40)
	if utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// isShown reports whether a character can be seen, in the place where it stands,
// and is not obeyed. Not so are controls and unassigned ones; what joins the
// character before it (accents that are characters of their own) or is nothing at
// all, with which one text is made to look like another; and letters that are
// written from right to left, since a terminal puts what stands beside them, such
// as digits and brackets, in another order.
func isShown(r rune) bool {
	switch {
	case r == utf8.RuneError:
		return true
	case !unicode.IsPrint(r), unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	}
	return r != '\u2800' && !isRightToLeft(r) // U+2800 is a Braille cell without dots
}

// isRightToLeft reports whether a character is of a block whose characters have
// the bidirectional class R or AL, also where they are not assigned yet
// (DerivedBidiClass.txt of Unicode).
func isRightToLeft(r rune) bool {
	for _, block := range [...][2]rune{{0x0590, 0x08ff}, {0xfb1d, 0xfdff}, {0xfe70, 0xfeff}, {0x10800, 0x10fff}, {0x1e800, 0x1efff}} {
		if block[0] <= r && r <= block[1] {
			return true
		}
	}
	return false
}

// safe returns text that a terminal only shows: of characters that are not, there
// are escapes. Of a long text, at most so many bytes are left.
func safe(text string, most int) string {
	var shown strings.Builder
	for _, r := range text {
		if shown.Len() >= most {
			shown.WriteString("…")
			break
		}
		switch {
		case isShown(r):
			shown.WriteRune(r)
		case r == '\n' || r == '\t':
			shown.WriteByte(' ')
		case r < 0x10000:
			fmt.Fprintf(&shown, `\u%04x`, r)
		default:
			fmt.Fprintf(&shown, `\U%08x`, r)
		}
	}
	return shown.String()
}

// safeJSON returns the same JSON with the characters that are not shown written as
// escapes. They can stand in strings only, where an escape says the same.
func safeJSON(text []byte) string {
	var shown strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || isShown(r):
			shown.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&shown, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r) // RFC 8259 §7
			fmt.Fprintf(&shown, `\u%04x\u%04x`, high, low)
		}
	}
	return shown.String()
}
