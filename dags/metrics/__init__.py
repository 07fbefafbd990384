"""What can be plotted: builds, gaps and cost by week; and what a scraper reads of the last evaluation."""
