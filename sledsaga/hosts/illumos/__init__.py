"""What only illumos has: zones, dladm links, SMF services and their profiles."""
