"""What sees is killed, stopped and bombed while people hold out phones: the gate never opens wrongly, sight returns."""
