package config

import "fmt"

// DidYouMean returns a question naming the choice that is closest to what was
// written, or nothing if none is close.
func DidYouMean(written string, choices []string) string {
	best, distance := "", 1+max(2, len(written)/3)
	for _, choice := range choices {
		if d := editDistance(written, choice); d < distance {
			best, distance = choice, d
		}
	}
	if best == "" || distance >= len(best) {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance counts the single-character changes that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
