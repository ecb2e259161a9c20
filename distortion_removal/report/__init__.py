"""Tables, figures and the listening page of evaluated runs."""
