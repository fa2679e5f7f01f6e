package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Plot is a chart of lines over a logarithmic axis.
type Plot struct {
	// File is its name without the extension.
	File string `json:"file"`
	// Title, X and Y are what is written at the chart and its axes.
	Title string  `json:"title"`
	X     string  `json:"x"`
	Y     string  `json:"y"`
	Curve []Curve `json:"curves"`
}

// Curve is one line of a plot.
type Curve struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is one measurement. X is more than 0.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// The chart's size and the room around it, in pixels.
const (
	width, height = 720, 400
	left, right   = 80, 170
	top, bottom   = 40, 56
	ticks         = 5
)

// colours of the curves, in order; readable on white and on black.
func colours() []string { return []string{"#2f7ed8", "#e06c2c", "#3a9d5d", "#a14fb5", "#8a8a8a"} }

// SVG draws the plot.
func (p *Plot) SVG(w io.Writer) error {
	var b strings.Builder

	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15">%s</text>`+"\n", left, escape(p.Title))

	s := p.scale()
	s.axes(&b, p)

	for i, c := range p.Curve {
		s.curve(&b, c, i)
	}

	b.WriteString("</svg>\n")

	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}

	return nil
}

// scale maps values to pixels.
type scale struct {
	first, last float64 // of x, as logarithms
	most        float64 // of y, which begins at 0
	marks       []float64
}

func (p *Plot) scale() scale {
	s := scale{first: math.Inf(1), last: math.Inf(-1)}

	for _, c := range p.Curve {
		for _, at := range c.Points {
			s.first, s.last = min(s.first, math.Log10(at.X)), max(s.last, math.Log10(at.X))
			s.most = max(s.most, at.Y)

			if !slices.Contains(s.marks, at.X) {
				s.marks = append(s.marks, at.X)
			}
		}
	}

	s.most = round(s.most)

	return s
}

// round returns the next number up that is easy to read.
func round(v float64) float64 {
	if v <= 0 {
		return 1
	}

	unit := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, n := range []float64{1, 2, 2.5, 5, 10} {
		if v <= n*unit {
			return n * unit
		}
	}

	return v
}

func (s scale) x(v float64) float64 {
	return left + (width-left-right)*(math.Log10(v)-s.first)/max(s.last-s.first, 1e-9)
}

func (s scale) y(v float64) float64 { return height - bottom - (height-top-bottom)*v/s.most }

func (s scale) axes(b *strings.Builder, p *Plot) {
	for i := range ticks + 1 {
		v := s.most * float64(i) / ticks
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, width-right, s.y(v), s.y(v))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-8, s.y(v)+4, number(v))
	}

	for _, v := range s.marks {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", s.x(v), height-bottom+18, grouped(v))
	}

	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-12, escape(p.X))
	fmt.Fprintf(b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n",
		(top+height-bottom)/2, escape(p.Y))
}

func (s scale) curve(b *strings.Builder, c Curve, i int) {
	colour := colours()[i%len(colours())]
	points := make([]string, len(c.Points))

	for j, at := range c.Points {
		points[j] = fmt.Sprintf("%.1f,%.1f", s.x(at.X), s.y(at.Y))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", s.x(at.X), s.y(at.Y), colour)
	}

	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour)

	row := float64(top + 16*i)
	fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="10" height="10" fill="%s"/>`+"\n", width-right+16, row, colour)
	fmt.Fprintf(b, `<text x="%d" y="%.1f">%s</text>`+"\n", width-right+32, row+9, escape(c.Name))
}

// grouped writes a whole number with spaces between its thousands.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}

	return s
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
