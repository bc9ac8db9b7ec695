"""How clients, views and results show themselves: in notebooks, as figures, as progress bars."""
