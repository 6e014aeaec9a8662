package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// writeTable prints a line for each line of the jobs.
func writeTable(w io.Writer, jobs []job, results []result) {
	rows := [][]string{{"id", "build", "what", "reference", "ours", "min", "median", "max", "goal", "met"}}
	for i, j := range jobs {
		for _, l := range j.lines {
			rows = append(rows, tableRow(j, l, results[i]))
		}
	}
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for n, r := range rows {
		for i, cell := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i >= 3 && i <= 7 {
				cell = pad + cell
			} else {
				cell += pad
			}
			fmt.Fprintf(w, "| %s ", cell)
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, n := range width {
				fmt.Fprint(w, "|"+strings.Repeat("-", n+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

// tableRow is one line: medians of both sides, and the ratios of the rounds.
func tableRow(j job, l line, r result) []string {
	row := []string{j.id, string(j.column), l.what, "", "", "", "", "", "", ""}
	if len(r.samples) == 0 {
		row[9] = "not measured"
		if r.err != nil {
			row[9] = firstLine(r.err.Error())
		}
		return row
	}
	var refs, own, ratios []float64
	for _, s := range r.samples {
		refs = append(refs, s.reference[l.key])
		own = append(own, s.ours[l.key])
		if s.reference[l.key] > 0 {
			ratios = append(ratios, s.ours[l.key]/s.reference[l.key])
		}
	}
	row[3], row[4] = figure(median(refs), l.unit), figure(median(own), l.unit)
	ratio := 0.0
	if len(ratios) > 0 {
		ratio = median(ratios)
		row[5] = fmt.Sprintf("%.2f", slices.Min(ratios))
		row[6] = fmt.Sprintf("%.2f", ratio)
		row[7] = fmt.Sprintf("%.2f", slices.Max(ratios))
	}
	var met bool
	switch l.goal.kind {
	case noGoal:
		return row
	case atMost:
		row[8], met = fmt.Sprintf("≤ %v ×", l.goal.limit), len(ratios) > 0 && ratio <= l.goal.limit
	case atLeast:
		row[8], met = fmt.Sprintf("≥ %v ×", l.goal.limit), len(ratios) > 0 && ratio >= l.goal.limit
	case within:
		row[8], met = "≤ "+figure(l.goal.limit, l.unit), median(own) <= l.goal.limit
	case reaches:
		row[8], met = "≥ "+figure(l.goal.limit, l.unit), median(own) >= l.goal.limit
	}
	row[9] = "no"
	if met {
		row[9] = "yes"
	}
	return row
}

// median returns the middle of the values, the mean of the two middle ones if
// their number is even.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// figure writes a value with three digits that count.
func figure(v float64, unit string) string {
	if unit == "ns" && v >= 10_000 {
		v, unit = v/1000, "µs"
	}
	var s string
	switch {
	case v >= 100 || v == float64(int(v)):
		s = strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		s = strconv.FormatFloat(v, 'f', 1, 64)
	default:
		s = strconv.FormatFloat(v, 'f', 2, 64)
	}
	if unit == "" || unit[0] == '/' {
		return s + unit
	}
	return s + " " + unit
}
