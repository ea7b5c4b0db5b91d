# Closes the network until tinysnitchd's own rules stand.
tinysnitch-closed close
