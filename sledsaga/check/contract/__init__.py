"""What every part of a kind must do, written once and run over each of them."""
